/** A million finished jobs leave nothing behind: the heap after them against the heap after the first 10 000. */
import { start, supervisor, task, type System } from 'rootcatch'

const isSmoke = process.argv.includes('--smoke')
const FIRST = 10_000
const ALL = isSmoke ? 60_000 : 1_000_000
const IN_FLIGHT = 1_000
const ALLOWED_MB = 5

const add = task('add', { concurrency: IN_FLIGHT }, async ({ a, b }: { a: number; b: number }) => a + b)
const system = await start(supervisor('app', [supervisor('sums', [add])]))
const ids = new Set<string>()

const startedAt = performance.now()
await work(system, FIRST)
const early = heapMb()
await work(system, ALL - FIRST)
const late = heapMb()
const seconds = (performance.now() - startedAt) / 1_000

console.log(`heap after    10 000 jobs  ${early.toFixed(1)} MB`)
console.log(`heap after ${ALL.toLocaleString('en').replaceAll(',', ' ').padStart(9)} jobs  ${late.toFixed(1)} MB`)
console.log(
  `difference  ${(late - early).toFixed(1)} MB, allowed ${ALLOWED_MB} MB; ${Math.round(ALL / seconds)} jobs/s`,
)
const { jobs, openRuns } = await system.stats()
console.log(`done ${jobs.done}, open runs ${openRuns}, last id ${[...ids].at(-1)}`)
await system.stop()
if (late - early > ALLOWED_MB || jobs.done !== ALL || openRuns !== 0) process.exitCode = 1

/** Keeps so many in flight until all are done; refilled from a macrotask, so that the event loop turns. */
async function work(on: System, count: number): Promise<void> {
  let asked = 0
  let done = 0
  await new Promise<void>((resolve, reject) => {
    const refill = (): void => {
      while (asked < count && asked - done < IN_FLIGHT) {
        asked += 1
        const run = on.run(add, { a: asked, b: 1 })
        if (asked === count) ids.add(run.id)
        run.then(() => {
          done += 1
          if (done === count) resolve()
        }, reject)
      }
      if (asked < count) setImmediate(refill)
    }
    refill()
  })
}

function heapMb(): number {
  if (globalThis.gc === undefined) throw new Error('Start it with: npx node --expose-gc bench/heap.ts')
  for (let round = 0; round < 4; round += 1) globalThis.gc()
  return process.memoryUsage().heapUsed / 2 ** 20
}
