import { monitorEventLoopDelay } from 'node:perf_hooks'

/** Which way jobs go: a value at once; a value at the second attempt; a fallback's; a plugin's. */
export type Way = 'ok' | 'retry' | 'fallback' | 'answer'

/** Begins one job whose body is given `n`, and tells its value. */
export type Begin = (n: number, settled: (value: unknown) => void) => void

export interface Contender {
  readonly begin: Begin
  close(): Promise<void>
}

export interface Measured {
  readonly perSecond: number
  /** Of the process, in µs per job. */
  readonly cpu: number
  /** How late the event loop came, in ms. */
  readonly delay: number
}

const IN_FLIGHT = 1_000
/** Ways that fail call more code, which V8 has compiled after 1.5 s of them; one that is only tried is not waited for. */
const [WARM_UP_MS, MEASURED_MS] = process.argv.includes('--smoke') ? [100, 100] : [2_000, 1_000]

/** Keeps 1 000 jobs in flight until the time is over, refilled from a macrotask, so that the event loop turns. */
export async function measure(begin: Begin, valueOf: (n: number) => unknown): Promise<Measured> {
  await runFor(WARM_UP_MS, begin, valueOf)
  const delays = monitorEventLoopDelay({ resolution: 1 })
  delays.enable()
  const [startedAt, before] = [performance.now(), process.cpuUsage()]
  const jobs = await runFor(MEASURED_MS, begin, valueOf)
  const seconds = (performance.now() - startedAt) / 1_000
  const { user, system } = process.cpuUsage(before)
  delays.disable()
  return { perSecond: jobs / seconds, cpu: (user + system) / jobs, delay: delays.percentile(99) / 1e6 }
}

/** How many jobs were over by then; each must have given what it should. */
function runFor(ms: number, begin: Begin, valueOf: (n: number) => unknown): Promise<number> {
  const until = performance.now() + ms
  return new Promise((resolve, reject) => {
    let [begun, over] = [0, 0]
    let isDue = false
    const refill = (): void => {
      isDue = false
      if (performance.now() >= until) return begun === over ? resolve(over) : undefined
      while (begun - over < IN_FLIGHT) {
        begun += 1
        const n = begun
        begin(n, (value) => settled(n, value))
      }
    }
    const settled = (n: number, value: unknown): void => {
      if (value !== valueOf(n)) return reject(new Error(`job ${n} gave ${String(value)}, not ${String(valueOf(n))}`))
      over += 1
      if (isDue) return
      isDue = true
      setImmediate(refill)
    }
    refill()
  })
}
