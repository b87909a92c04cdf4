import { MessageChannel, receiveMessageOnPort, type MessagePort } from 'node:worker_threads'
import { IsolateError, PayloadError } from '../errors.ts'
import { peek } from '../evidence.ts'
import { moduleName } from '../isolate.ts'
import type { TaskContext } from '../task-context.ts'
import { describeThrown } from '../thrown.ts'
import { pack, unpack } from './crossing.ts'
import type { End, Note, Order, Request, Work } from './messages.ts'

/** How long a thread may take to import the module of its task. */
const LOADING = 30_000

/** What a use needs of the threads it is one of. */
export interface Lender {
  readonly task: string
  readonly module: string
  readonly grace: number
  readonly memory: number | undefined
  /** Gives the request to a thread that is free; aborting ends that thread, whatever it does. */
  run(request: Request, signal: AbortSignal): Promise<End>
  over(use: ThreadUse): void
}

/** What came of a use: a value, or an error, which may be the value's fault. */
type Outcome = { readonly value: unknown } | { readonly error: unknown; readonly isMisfit: boolean }

/**
 * One use of a thread, for one call of a body. All timers here are the real ones, whatever clock the system has: a thread
 * takes real time.
 */
export class ThreadUse {
  readonly #lender: Lender
  readonly #killer = new AbortController()
  readonly #port: MessagePort
  readonly #request: Request
  readonly #ready: Promise<void>
  #isReady: () => void = () => {}
  #phase: 'waiting' | 'loading' | 'ready' | 'working' | 'over' = 'waiting'
  #isGivenBack = false
  #outcome: Promise<Outcome> = new Promise(() => {})
  /** Why it is over although no body was called: boxed. */
  #problem: { readonly error: unknown } | undefined
  #killedBecause: unknown
  #timer: NodeJS.Timeout | undefined
  #ctx: TaskContext | undefined

  constructor(lender: Lender) {
    this.#lender = lender
    const { port1, port2 } = new MessageChannel()
    this.#port = port1
    this.#request = { task: lender.task, module: lender.module, port: port2 }
    this.#ready = new Promise((resolve) => (this.#isReady = resolve))
  }

  /** Whether no thread has said yet that it took it up. */
  get isLoading(): boolean {
    return this.#phase === 'loading'
  }

  /** There is a thread for it. */
  begin(): void {
    const { task, module } = this.#lender
    this.#phase = 'loading'
    this.#setTimer(LOADING, () => this.kill(IsolateError.ofWait(task, moduleName(module), LOADING)))
    this.#port.on('message', (note: Note) => this.#hear(note))
    this.#outcome = this.#lender
      .run(this.#request, this.#killer.signal)
      .then(outcomeOf, (error: unknown) => ({ error: this.#whyEnded(error), isMisfit: false }))
      .then((outcome) => this.#isOver(outcome))
  }

  /** Calls back when the module is loaded, or cannot be: `call` then rejects with the reason. */
  whenReady(begin: () => void): void {
    void this.#ready.then(() => begin())
  }

  /** Rejects with what is wrong with the module, if anything is. */
  async check(): Promise<void> {
    await this.#ready
    if (this.#problem !== undefined) throw this.#problem.error
  }

  /** Calls the body in the thread. `onMisfit` is told of an error that is the value's fault, before that is thrown. */
  async call(
    input: unknown,
    ctx: TaskContext,
    { maxPayload, onMisfit }: { readonly maxPayload: number; readonly onMisfit: (error: unknown) => void },
  ): Promise<unknown> {
    const { id, path, attempt, idempotencyKey, signal } = ctx
    if (this.#isGivenBack) throw signal.reason // given up before it began
    await this.check()
    this.#ctx = ctx
    this.#send(input, { id, path, attempt, idempotencyKey, maxPayload })
    const onAbort = (): void => this.#abort(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    const outcome = await this.#outcome
    signal.removeEventListener('abort', onAbort)
    if ('value' in outcome) return outcome.value
    if (outcome.isMisfit) onMisfit(outcome.error)
    throw outcome.error
  }

  /** The attempt is judged. Where no body was called, the thread is free again; one that runs was told by its signal. */
  giveBack(): void {
    this.#isGivenBack = true
    if (this.#phase === 'waiting') this.#isOver({ error: undefined, isMisfit: false })
    else if (this.#phase === 'ready') this.#tell({ type: 'leave' })
  }

  /** The threads are closed: what has not begun does not, and what runs has its grace. */
  close(): void {
    this.giveBack()
    if (this.#phase === 'loading') this.kill(undefined)
    else if (this.#phase === 'working' && this.#timer === undefined) this.#giveGrace()
  }

  /** Ends the thread, and with it whatever it does. */
  kill(because: unknown): void {
    this.#killedBecause ??= because
    this.#killer.abort()
  }

  #send(input: unknown, work: Omit<Work, 'input'>): void {
    try {
      this.#tell({ type: 'work', work: { input, ...work } })
      this.#phase = 'working'
    } catch (error) {
      this.#tell({ type: 'leave' })
      const text = `input of task "${this.#lender.task}" cannot go to a thread: ${describeThrown(error)}`
      throw new PayloadError(`${text}. Let its schema give plain data.`, { cause: error })
    }
  }

  #abort(reason: unknown): void {
    if (this.#phase === 'over') return
    this.#tell({ type: 'abort', reason: pack(reason) })
    this.#giveGrace()
  }

  #giveGrace(): void {
    const { task, grace } = this.#lender
    this.#setTimer(grace, () => {
      const because = `was ended, for its body went on for ${grace} ms after its signal aborted`
      this.kill(IsolateError.ofEnd(task, because, 'Look at ctx.signal in the body, or raise isolate.grace'))
    })
  }

  #hear(note: Note): void {
    switch (note.type) {
      case 'ready':
        this.#clearTimer()
        this.#phase = 'ready'
        if (this.#isGivenBack) return this.#tell({ type: 'leave' })
        return this.#isReady()
      case 'progress':
        return this.#ctx?.progress(unpack(note.value))
      case 'log':
        return this.#ctx?.log[note.level](unpack(note.message) as string, unpack(note.data) as object | undefined)
      case 'sleep':
        return void this.#sleep(note.sleep, unpack(note.duration))
      case 'cancel':
        return this.#cancel(unpack(note.reason))
    }
  }

  /** What was said before the end, and has not been heard: ports keep no order between them. */
  #hearRest(): void {
    for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port)) {
      this.#hear(next.message as Note)
    }
  }

  /** On the system's clock. */
  async #sleep(sleep: number, duration: unknown): Promise<void> {
    try {
      await this.#ctx?.sleep(duration as number)
      this.#tell({ type: 'slept', sleep })
    } catch (error) {
      this.#tell({ type: 'slept', sleep, error: pack(error) })
    }
  }

  #cancel(reason: unknown): void {
    try {
      this.#ctx?.cancel(reason)
    } catch {} // it throws to unwind a body, and the one in the thread has unwound
  }

  #tell(order: Order): void {
    this.#port.postMessage(order)
  }

  #isOver(outcome: Outcome): Outcome {
    this.#clearTimer()
    if (this.#phase !== 'working' && 'error' in outcome) this.#problem = { error: outcome.error }
    this.#hearRest()
    this.#phase = 'over'
    this.#port.close()
    this.#isReady()
    this.#lender.over(this)
    return outcome
  }

  #setTimer(ms: number, callback: () => void): void {
    this.#clearTimer()
    this.#timer = setTimeout(callback, ms)
  }

  #clearTimer(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** What piscina says of a thread that is gone, in the user's terms. */
  #whyEnded(error: unknown): unknown {
    if (this.#killer.signal.aborted) return this.#killedBecause
    const { task, memory } = this.#lender
    if (peek(error, 'code') === 'ERR_WORKER_OUT_OF_MEMORY') {
      const limit = memory === undefined ? '' : `: ${memory} MiB are allowed`
      const advice = memory === undefined ? 'Give it less at once' : 'Raise isolate.memory, or give it less at once'
      return IsolateError.ofEnd(task, `ran out of memory${limit}`, advice)
    }
    const [, code] = /^worker exited with code: (\d+)$/.exec(describeThrown(error)) ?? []
    if (code !== undefined) {
      const because = `ended with exit code ${code} before its job was over`
      return IsolateError.ofEnd(task, because, 'Do not call process.exit() in its body')
    }
    const because = `was ended by an error that nobody caught: ${describeThrown(error)}`
    return IsolateError.ofEnd(task, because, 'Catch it where it is thrown', error)
  }
}

function outcomeOf(end: End): Outcome {
  if (end.type === 'value') return { value: end.value }
  return { error: 'error' in end ? unpack(end.error) : undefined, isMisfit: end.type === 'misfit' }
}
