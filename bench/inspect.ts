/**
 * What looking on costs the process that is looked at, row by row beside what it may cost.
 *
 * How: each measurement has a process of its own. What a job or a message costs is CPU time of the whole process, its
 * collector included. The systems that are compared stand in one process and do small batches in turn, for two processes of
 * the same program differ by more than what is asked; a cost is the mean of the batches without the highest and lowest tenth,
 * a row the median over processes. Loads are timers of 5 ms that send so many events a second to all actors in turn; their
 * CPU includes the load itself. The viewer is a page in Chromium where there is one, else a client that reads all frames.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { lookOn, type Look } from './inspect/look-on.ts'
import type { Asked, Kind, Told } from './inspect/system.ts'
import { atLeast, atMost, median } from './rows.ts'

const isSmoke = process.argv.includes('--smoke')
const PROCESSES = isSmoke ? 1 : 5
const ROUNDS = isSmoke ? 10 : 150
const SECONDS = isSmoke ? 2 : 10

if (isSmoke) await growth()
else {
  if (!process.argv.includes('--loads')) {
    await jobs()
    await messages()
  }
  if (!process.argv.includes('--costs')) await loads()
}

async function jobs(): Promise<void> {
  const ratios = { nobody: [] as number[], left: [] as number[] }
  const more: number[] = []
  for (let n = 0; n < PROCESSES; n += 1) {
    const child = await begin({ do: 'start', actors: 1, kinds: ['bare', 'inspected'] })
    const compare = (rounds: number): Promise<Costs> => costs(child, 'jobs', ['bare', 'inspected'], rounds, 2_000)
    await compare(ROUNDS / 4) // warm-up
    const nobody = await compare(ROUNDS)
    const look = await lookOn(child.link, false)
    await compare(ROUNDS / 10)
    const looked = await compare(ROUNDS)
    await look.end()
    const left = await compare(ROUNDS)
    ratios.nobody.push(nobody.bare / nobody.inspected)
    ratios.left.push(left.bare / left.inspected)
    more.push(looked.inspected - looked.bare)
    child.end()
  }
  atLeast('jobs, an inspector nobody looks at, to none', median(ratios.nobody), { goal: 0.98 })
  atLeast('jobs, after the last has left, to none', median(ratios.left), { goal: 0.98 })
  atMost('a job while somebody looks, more', median(more), { goal: 5, unit: 'µs' })
}

async function messages(): Promise<void> {
  const xstates: number[] = []
  const ours: number[] = []
  for (let n = 0; n < PROCESSES; n += 1) {
    const kinds = ['bare', 'observed', 'inspected'] as const
    const child = await begin({ do: 'start', actors: 1_000, kinds })
    const look = await lookOn(child.link, false)
    await costs(child, 'sends', kinds, ROUNDS / 4, 2_000)
    const { bare, observed, inspected } = await costs(child, 'sends', kinds, ROUNDS, 2_000)
    xstates.push(observed - bare)
    ours.push(inspected - observed)
    await look.end()
    child.end()
  }
  console.log(
    `a message to an actor that somebody observes costs XState ${median(xstates).toFixed(2)} µs more by itself`,
  )
  atMost('an event while somebody looks, of ours', median(ours), { goal: 2, unit: 'µs' })
}

async function loads(): Promise<void> {
  const asked: { readonly actors: number; readonly rate: number; readonly cpu?: number }[] = [
    { actors: 1_000, rate: 1_000, cpu: 10 },
    { actors: 10_000, rate: 10_000, cpu: 20 },
    { actors: 1_000, rate: 100_000 },
  ]
  for (const { actors, rate, cpu } of asked) {
    const child = await begin({ do: 'start', actors, kinds: ['inspected'] })
    const load = { do: 'load', rate, seconds: SECONDS } as const
    const alone = await child.ask(load)
    const look = await lookOn(child.link, true)
    await child.ask({ ...load, seconds: 2 }) // the page is up, and code is warm
    look.begin()
    const seen = await child.ask(load)
    const { perSecond, fps } = await look.measure(SECONDS)
    const name = `${rate.toLocaleString('en')} events/s, ${actors.toLocaleString('en')} actors`
    const part = ({ cpu: ms = 0, sent = 0 }: Told): number => ms / 10 / (sent / rate)
    console.log(
      `${name}, ${look.kind}: the load alone takes ${part(alone).toFixed(0)} %, loop p99 ${alone.loop?.toFixed(1)} ms`,
    )
    // Where the load alone leaves no room, no viewer can: half a core of it says more.
    if (rate === 100_000 && part(alone) > 60)
      asked.push({ actors, rate: Math.round((rate / 1_000) * (50 / part(alone))) * 1_000 })
    if (cpu === undefined) {
      const behind = (seen.loop ?? 0) - (alone.loop ?? 0)
      atMost(`${name}: loop delay p99`, behind, { goal: 20, unit: 'ms more' })
      atMost(`${name}: heap`, ((seen.heap ?? 0) - (alone.heap ?? 0)) / 1e6, { goal: 40, unit: 'MB more' })
      console.log(
        `${name}: at most ${(((seen.rss ?? 0) - (alone.rss ?? 0)) / 1e6).toFixed(0)} MB RSS more, CPU ${part(seen).toFixed(0)} %`,
      )
    } else {
      atMost(`${name}: CPU, load included`, part(seen), { goal: cpu, unit: '%' })
      atMost(`${name}: to the page`, perSecond / 1_000, { goal: 150, unit: 'KB/s' })
    }
    if (fps !== undefined && cpu !== undefined && look.idleFps !== undefined) {
      console.log(`${name}: the page is painted ${fps.toFixed(0)} times a second, idle ${look.idleFps.toFixed(0)}`)
      atLeast(`${name}: page, if 60 when idle`, (fps / look.idleFps) * 60, { goal: 50, unit: 'fps' })
    }
    const late = await latency(child, look)
    if (late !== undefined) atMost(`${name}: on the screen after`, late, { goal: 300, unit: 'ms' })
    if (rate === 1_000) {
      const longest = await look.longestTask('big')
      if (longest !== undefined) atMost('a chart of 200 states: page blocked', longest, { goal: 50, unit: 'ms' })
    }
    await look.end()
    child.end()
  }
}

/** Bounded by what fits on a screen, not by what happens. */
async function growth(): Promise<void> {
  const bytes: number[] = []
  for (const { actors, rate } of [
    { actors: 200, rate: 1_000 },
    { actors: 200, rate: 10_000 },
    { actors: 2_000, rate: 10_000 },
  ]) {
    const child = await begin({ do: 'start', actors, kinds: ['inspected'] })
    const look = await lookOn(child.link, false)
    await child.ask({ do: 'load', rate, seconds: 1 })
    look.begin()
    await child.ask({ do: 'load', rate, seconds: SECONDS })
    bytes.push((await look.measure(SECONDS)).perSecond)
    await look.end()
    child.end()
  }
  const [few = 1, many = 1, wide = 1] = bytes
  atMost('ten times the events: bytes to a viewer', many / few, { goal: 3 })
  atMost('ten times the actors: bytes to a viewer', wide / many, { goal: 3 })
}

async function latency(child: Child, look: Look): Promise<number | undefined> {
  const waits: number[] = []
  for (let n = 0; n < 5; n += 1) {
    const name = `mark-${n}`
    const seen = look.shows(name)
    if (seen === undefined) return undefined
    const begun = performance.now()
    await child.ask({ do: 'mark', name })
    await seen
    waits.push(performance.now() - begun)
  }
  return median(waits)
}

type Costs = Readonly<Record<Kind, number>>

async function costs(
  child: Child,
  work: 'jobs' | 'sends',
  kinds: readonly Kind[],
  rounds: number,
  batch: number,
): Promise<Costs> {
  const told = await child.ask({ do: 'compare', work, kinds, rounds: Math.ceil(rounds), batch })
  const of = (kind: Kind): number => trimmedMean(told.costs?.[kind] ?? [])
  return { bare: of('bare'), observed: of('observed'), inspected: of('inspected') }
}

interface Child {
  readonly link: string
  ask(asked: Asked): Promise<Told>
  end(): void
}

async function begin(asked: Asked): Promise<Child> {
  const child: ChildProcess = fork(new URL('./inspect/system.ts', import.meta.url), { execArgv: ['--expose-gc'] })
  child.once('exit', (code) => {
    if (code !== null) process.exit(1) // it has said why
  })
  const ask = async (given: Asked): Promise<Told> => {
    child.send(given)
    const [told] = (await once(child, 'message')) as [Told]
    return told
  }
  const { link = '' } = await ask(asked)
  return { link, ask, end: () => child.kill('SIGKILL') }
}

function trimmedMean(values: readonly number[]): number {
  const tenth = Math.floor(values.length / 10)
  const kept = values.toSorted((one, other) => one - other).slice(tenth, values.length - tenth)
  return kept.reduce((sum, value) => sum + value, 0) / kept.length
}
