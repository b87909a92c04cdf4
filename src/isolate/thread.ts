import { AsyncLocalStorage } from 'node:async_hooks'
import { parentPort, type MessagePort } from 'node:worker_threads'
import { isGenerator, type AnyGenerator } from '../generator.ts'
import { refusedInThread } from '../isolate.ts'
import { copyPayload } from '../payload.ts'
import type { AnyTask } from '../task.ts'
import { pack } from './crossing.ts'
import { loadTask } from './load-task.ts'
import type { End, Floated, Note, Order, Request, Work } from './messages.ts'
import { ThreadContext } from './thread-context.ts'

// What runs in a thread. It is loaded by piscina, and calls `work` for each use of the thread, one at a time.

const STEPS_PER_TURN = 256

/** The job whose code is running: what it leaves floating may be rejected when it is long over. */
const jobs = new AsyncLocalStorage<Work>()

/** The one that is under way. */
let current: Work | undefined

process.on('unhandledRejection', (error) => {
  const job = jobs.getStore()
  if (job !== undefined) return tellFloated(job, error)
  if (refusedInThread() !== undefined) return // of what came of that; it is told by what loads the module
  throw error // of the module itself, not of a job: it ends the thread, as it would a process
})

process.on('uncaughtException', (error) => {
  const job = jobs.getStore()
  if (job === undefined && refusedInThread() !== undefined) return
  // What a job threw that is over must not cost another one its thread.
  if (job === undefined || job === current) throw error
  tellFloated(job, error)
})

function tellFloated({ id, path, attempt }: Work, error: unknown): void {
  parentPort?.postMessage({ type: 'floated', id, path, attempt, error: pack(error) } satisfies Floated)
}

/** Loads the task, waits for what to do with it, and does that. */
export async function work({ task: name, module, port }: Request): Promise<End> {
  try {
    const task = await loadTask(name, module)
    const asked = nextOrder(name, port)
    port.postMessage({ type: 'ready' } satisfies Note)
    const given = await asked
    return given === undefined ? { type: 'left' } : await doWork(task, given.work, given.context)
  } catch (error) {
    return { type: 'error', error: pack(error) } // of loading: a body's own is no longer thrown
  } finally {
    port.close()
  }
}

/** The context listens before the next order can come. */
function nextOrder(
  task: string,
  port: MessagePort,
): Promise<{ readonly work: Work; readonly context: ThreadContext } | undefined> {
  return new Promise((resolve) =>
    port.once('message', (order: Order) => {
      if (order.type !== 'work') return resolve(undefined)
      resolve({ work: order.work, context: new ThreadContext(task, order.work, port) })
    }),
  )
}

async function doWork(task: AnyTask, asked: Work, context: ThreadContext): Promise<End> {
  const { body } = task // called without its task, so that a stack shows the user's own name for it
  let value: unknown
  current = asked
  try {
    value = await jobs.run(asked, () => valueOf(body(asked.input as never, context), context))
  } catch (error) {
    return { type: 'error', error: pack(error) }
  } finally {
    current = undefined
  }
  try {
    // Here, for on its way a Date would become a Date of nobody's, and an instance of a class a plain object.
    return { type: 'value', value: copyPayload(`result of task "${task.name}"`, value, asked.maxPayload) }
  } catch (error) {
    return { type: 'misfit', error: pack(error) }
  }
}

async function valueOf(result: unknown, context: ThreadContext): Promise<unknown> {
  const value = await result
  return isGenerator(value) ? drive(value, context) : value
}

/** A generator that is given up gets `return()`, so that its `finally` runs. */
async function drive(generator: AnyGenerator, { signal, progress }: ThreadContext): Promise<unknown> {
  const unwind = async (): Promise<unknown> => (await generator.return(undefined)).value
  const onAbort = (): void => void unwind().catch(() => {}) // the step under way rejects with the same
  if (signal.aborted) return unwind()
  signal.addEventListener('abort', onAbort, { once: true })
  for (let steps = 1; ; steps += 1) {
    // One that awaits nothing would never hear that it is given up.
    if (steps % STEPS_PER_TURN === 0) await new Promise<void>((resolve) => void setImmediate(resolve))
    const step = await generator.next()
    const value = await step.value
    if (step.done === true) return value
    progress(value)
  }
}
