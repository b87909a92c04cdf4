/**
 * What importing an entry costs, beside XState alone: milliseconds, and memory of the process.
 *
 * How: each import is the first of a process of its own, timed around `await import()`; memory is how much the resident set
 * has grown by then. Rounds go through all entries in turn, so that what else the machine does meets all of them; the first
 * round, which brings the files into the cache of the disk, does not count. Medians.
 */
import { spawnSync } from 'node:child_process'
import { atMost, median } from './rows.ts'

const isSmoke = process.argv.includes('--smoke')
const ROUNDS = isSmoke ? 1 : 9

const ENTRIES = [
  'xstate',
  'rootcatch',
  'rootcatch/machines',
  'rootcatch/plugins',
  'rootcatch/postgres',
  'rootcatch/sqlite',
  'rootcatch/inspect',
  'rootcatch/testing',
  'rootcatch/bullmq',
  'rootcatch/crawl',
  'rootcatch/bot',
]

interface Cost {
  readonly ms: number
  readonly megabytes: number
}

const PROGRAM = `
  const [before, begun] = [process.memoryUsage.rss(), performance.now()]
  await import(process.argv[1])
  const ms = performance.now() - begun
  console.log(JSON.stringify({ ms, megabytes: (process.memoryUsage.rss() - before) / 1e6 }))
`

function costOf(entry: string): Cost {
  const args = ['--input-type=module', '--eval', PROGRAM, entry]
  const { stdout, status } = spawnSync(process.execPath, args, {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`import '${entry}' ended with ${status}`)
  return JSON.parse(stdout) as Cost
}

for (const entry of ENTRIES) costOf(entry)
const rounds = Array.from({ length: ROUNDS }, () => new Map(ENTRIES.map((entry) => [entry, costOf(entry)])))

const costs = ENTRIES.map((entry) => {
  const found = rounds.flatMap((round) => round.get(entry) ?? [])
  return { entry, ms: median(found.map(({ ms }) => ms)), megabytes: median(found.map((cost) => cost.megabytes)) }
})
for (const { entry, ms, megabytes } of costs) {
  console.log(`${entry.padEnd(20)} ${ms.toFixed(1).padStart(6)} ms ${megabytes.toFixed(1).padStart(6)} MB`)
}
const own = costs.find(({ entry }) => entry === 'rootcatch')
if (!isSmoke && own !== undefined) {
  atMost("import 'rootcatch', time", own.ms, { goal: 40, unit: 'ms' })
  atMost("import 'rootcatch', memory", own.megabytes, { goal: 12, unit: 'MB' })
}
