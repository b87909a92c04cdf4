import { setTimeout } from 'node:timers/promises'
import type { QueueStats } from '../brokers/broker.ts'
import { formatDuration } from '../duration.ts'
import { oneLine } from '../evidence.ts'
import { paint, print, remark, widthOf } from './output.ts'
import { withStore } from './store.ts'
import { table, type Column } from './table.ts'

export interface StatsOptions {
  readonly broker?: string
  readonly json?: true
  readonly watch?: true
}

const COLUMNS: readonly Column[] = [
  { title: 'TASK', bends: true },
  { title: 'WAITING', align: 'right' },
  { title: 'DELAYED', align: 'right' },
  { title: 'LEASED', align: 'right' },
  { title: 'DEAD', align: 'right' },
  { title: 'OLDEST', align: 'right' },
]

const EVERY = 1_000

/** `closed`: nobody reads any more. */
export async function showStats(options: StatsOptions, closed: AbortSignal): Promise<number> {
  return withStore(options.broker, async (broker, where) => {
    if (options.watch !== true) {
      const queues = await broker.stats()
      print(options.json ? JSON.stringify(queues, undefined, 2) : textOf(queues))
      if (queues.length === 0) remark(`${where} has seen no jobs yet.`)
      return 0
    }
    const over = endOfWatch(closed)
    for (let lines = 0; !over.aborted;) {
      const queues = await broker.stats()
      if (options.json) print(JSON.stringify({ at: Date.now(), queues }))
      else lines = redraw(textOf(queues), lines)
      await setTimeout(EVERY, undefined, { signal: over }).catch(() => {})
    }
    return 0
  })
}

/** Aligned, a line per task, and what it sums up to. */
export function statsText(queues: readonly QueueStats[], width: number | undefined): string[] {
  const rows = queues
    .toSorted((a, b) => (a.queue < b.queue ? -1 : 1))
    .map((one) => [oneLine(one.queue), ...COUNTS.map((key) => String(one[key])), ageText(one.oldest)])
  if (queues.length < 2) return table(COLUMNS, rows, width)
  const sums = COUNTS.map((key) => String(queues.reduce((sum, one) => sum + one[key], 0)))
  const ages = queues.flatMap(({ oldest }) => oldest ?? [])
  return table(COLUMNS, [...rows, ['all', ...sums, ageText(ages.length > 0 ? Math.max(...ages) : undefined)]], width)
}

const COUNTS = ['waiting', 'delayed', 'leased', 'dead'] as const

function textOf(queues: readonly QueueStats[]): string {
  const [head = '', ...rows] = statsText(queues, widthOf())
  return [paint('bold', head), ...rows].join('\n')
}

function ageText(ms: number | undefined): string {
  return ms === undefined ? '-' : formatDuration(ms)
}

/** Over what was drawn before; where that cannot be, below it. */
function redraw(text: string, linesBefore: number): number {
  if (!process.stdout.isTTY) {
    print(`${new Date().toISOString()}\n${text}\n`)
    return 0
  }
  const lines = text.split('\n')
  const up = linesBefore === 0 ? '' : `\x1b[${linesBefore}A`
  print(`${up}${lines.map((line) => `${line}\x1b[K`).join('\n')}\x1b[J`)
  return lines.length
}

function endOfWatch(closed: AbortSignal): AbortSignal {
  const asked = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => asked.abort())
  return AbortSignal.any([closed, asked.signal])
}
