import type { Clock } from '../clock.ts'

/** Resolves after so many ms, or when the signal aborts. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clock.clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = clock.setTimeout(end, ms)
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
  })
}

/** Resolves when the promise is settled, or after so many ms. */
export async function atMost(clock: Clock, ms: number, promise: Promise<unknown>): Promise<void> {
  const over = new AbortController()
  const settled = promise.then(
    () => {},
    () => {},
  )
  await (ms === Infinity ? settled : Promise.race([settled, sleep(clock, ms, over.signal)]))
  over.abort()
}

/** Makes a call that is aborted with the signal, or after so many ms; then it rejects with what `late` makes. */
export async function inTime<T>(
  clock: Clock,
  ms: number,
  call: (signal: AbortSignal) => Promise<T>,
  { signal, late }: { readonly signal?: AbortSignal; readonly late: () => Error },
): Promise<T> {
  const controller = new AbortController()
  const abort = (): void => controller.abort()
  const { promise: tooLate, reject } = Promise.withResolvers<never>()
  const timer = clock.setTimeout(() => {
    reject(late()) // first: what the abort rejects with says less
    abort()
  }, ms)
  signal?.addEventListener('abort', abort)
  if (signal?.aborted === true) abort()
  try {
    return await Promise.race([call(controller.signal), tooLate])
  } finally {
    clock.clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}
