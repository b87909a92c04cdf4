import type { MessagePort } from 'node:worker_threads'
import type { Duration } from '../duration.ts'
import { CancelledError, IsolateError, PluginTriggerError } from '../errors.ts'
import type { JobLog, TaskContext } from '../task-context.ts'
import { pack, unpack } from './crossing.ts'
import type { Note, Order, Work } from './messages.ts'

/** The context of a body in a thread: what it says goes to the attempt in the main thread, which has the last word. */
export class ThreadContext implements TaskContext {
  readonly id: string
  readonly path: string
  readonly attempt: number
  readonly idempotencyKey: string
  readonly log: JobLog
  readonly #task: string
  readonly #port: MessagePort
  readonly #controller = new AbortController()
  readonly #sleeps: { resolve(): void; reject(error: unknown): void }[] = []

  constructor(task: string, { id, path, attempt, idempotencyKey }: Work, port: MessagePort) {
    this.id = id
    this.path = path
    this.attempt = attempt
    this.idempotencyKey = idempotencyKey
    this.#task = task
    this.#port = port
    const write = (level: keyof JobLog) => (message: string, data?: object) =>
      this.#tell({ type: 'log', level, message: pack(message), data: pack(data) })
    this.log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
    port.on('message', (order: Order) => this.#take(order))
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  // Functions that need no `this`, so that a body may take the context apart.

  readonly progress = (value: unknown): void => this.#tell({ type: 'progress', value: pack(value) })

  readonly sleep = (duration: Duration): Promise<void> => {
    const slept = new Promise<void>((resolve, reject) => {
      if (this.signal.aborted) return reject(this.signal.reason)
      const sleep = this.#sleeps.push({ resolve, reject }) - 1
      this.#tell({ type: 'sleep', sleep, duration: pack(duration) })
    })
    slept.catch(() => {}) // a sleep that nobody awaits is no floating failure when the attempt is given up
    return slept
  }

  readonly run = (): never => {
    throw IsolateError.ofRun(this.#task)
  }

  readonly cancel = (reason?: unknown): never => {
    this.#tell({ type: 'cancel', reason: pack(reason) })
    throw new CancelledError(this.path, reason)
  }

  readonly pluginError = (details?: string | object, options?: { readonly cause?: unknown }): never => {
    throw new PluginTriggerError(details, options)
  }

  #take(order: Order): void {
    if (order.type === 'abort') this.#abort(unpack(order.reason))
    if (order.type !== 'slept') return
    const sleeper = this.#sleeps[order.sleep]
    if (order.error === undefined) sleeper?.resolve()
    else sleeper?.reject(unpack(order.error))
  }

  #abort(reason: unknown): void {
    this.#controller.abort(reason)
    for (const { reject } of this.#sleeps) reject(reason) // one that is over does not mind
  }

  #tell(note: Note): void {
    this.#port.postMessage(note)
  }
}
