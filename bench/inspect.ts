/**
 * What looking on costs the process that is looked at.
 *
 * How: each system is a process of its own. Jobs: trivial ones on the memory broker, 256 in flight, without the option, with
 * an inspector nobody looks at, after the last one has left, and while one looks; rounds are interleaved, a ratio is the
 * median of the ratios per round. Events: actors of a machine with two states are sent so many events a second by timers
 * of 10 ms, all actors in turn; CPU is that of the whole process, load included, so the same load without a viewer stands
 * beside it. The viewer is a page in Chromium where there is one, else a client that reads all frames.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Asked, Told } from './inspect/system.ts'
import { lookOn, type Look } from './inspect/look-on.ts'

const isSmoke = process.argv.includes('--smoke')
const ROUNDS = isSmoke ? 1 : 5
const JOBS = isSmoke ? 20_000 : 150_000
const SECONDS = isSmoke ? 2 : 10

if (!process.argv.includes('--events')) await jobs()
await events()

async function jobs(): Promise<void> {
  const kinds = ['no option', 'nobody looks', 'the last has left', 'one looks'] as const
  const ratios = new Map<string, number[]>(kinds.map((kind) => [kind, []]))
  const costs = new Map<string, number[]>(kinds.map((kind) => [kind, []]))
  for (let round = 0; round < ROUNDS; round += 1) {
    let bare = 0
    for (const kind of kinds) {
      const system = await begin({ do: 'start', actors: 1, inspect: kind !== 'no option' })
      const look = kind === 'one looks' || kind === 'the last has left' ? await lookOn(system.link, false) : undefined
      if (kind === 'the last has left') await look?.end()
      await system.ask({ do: 'jobs', count: JOBS / 5 }) // warm-up
      const { cpu = 0 } = await system.ask({ do: 'jobs', count: JOBS })
      if (kind === 'no option') bare = cpu
      ratios.get(kind)?.push(bare / cpu)
      costs.get(kind)?.push((cpu / JOBS) * 1_000)
      await look?.end()
      system.end()
    }
  }
  for (const kind of kinds) {
    const cost = median(costs.get(kind) ?? [])
    console.log(
      `jobs, ${kind}: ${cost.toFixed(1)} µs a job, ${median(ratios.get(kind) ?? []).toFixed(2)} of the rate without`,
    )
  }
}

async function events(): Promise<void> {
  const rows = isSmoke
    ? [
        { actors: 200, rate: 1_000 },
        { actors: 200, rate: 10_000 },
        { actors: 2_000, rate: 10_000 },
      ]
    : [
        { actors: 1_000, rate: 1_000 },
        { actors: 10_000, rate: 10_000 },
        { actors: 10_000, rate: 40_000 },
      ]
  const bytes: number[] = []
  for (const { actors, rate } of rows) {
    const system = await begin({ do: 'start', actors, inspect: true })
    const load = { do: 'events', rate, seconds: SECONDS } as const
    const alone = await system.ask(load)
    const look = await lookOn(system.link, !isSmoke)
    await system.ask({ ...load, seconds: 2 }) // the page is up, and code is warm
    look.begin()
    const seen = await system.ask(load)
    const { perSecond, fps } = await look.measure(SECONDS)
    const late = await latency(system, look)
    bytes.push(perSecond)
    const per = ({ cpu = 0 }: Told): string => `${(cpu / (SECONDS * 10)).toFixed(0)} % CPU`
    const more = ((seen.heap ?? 0) - (alone.heap ?? 0)) / 1e6
    console.log(
      `${rate} events/s over ${actors} actors, ${look.kind}: ${per(seen)} (${per(alone)} without), ${(perSecond / 1_000).toFixed(0)} KB/s` +
        `, loop p99 ${seen.loop?.toFixed(1)} ms (${alone.loop?.toFixed(1)} without), heap ${more.toFixed(0)} MB more` +
        `${fps === undefined ? '' : `, page ${fps.toFixed(0)} fps`}${late === undefined ? '' : `, on screen after ${late.toFixed(0)} ms`}, ${seen.sent} sent`,
    )
    await look.end()
    system.end()
  }
  if (!isSmoke) return
  const [few = 1, many = 1, wide = 1] = bytes
  check('ten times the events', many / few)
  check('ten times the actors', wide / many)
}

/** Bounded by what fits on a screen, not by what happens. */
function check(what: string, growth: number): void {
  console.log(`${what}: ${growth.toFixed(2)} times the bytes, allowed 3`)
  if (growth > 3) process.exitCode = 1
}

async function latency(system: Running, look: Look): Promise<number | undefined> {
  const waits: number[] = []
  for (let n = 0; n < 5; n += 1) {
    const name = `mark-${n}`
    const seen = look.shows(name)
    if (seen === undefined) return undefined
    const begun = performance.now()
    await system.ask({ do: 'mark', name })
    await seen
    waits.push(performance.now() - begun)
  }
  return median(waits)
}

interface Running {
  readonly link: string
  ask(asked: Asked): Promise<Told>
  end(): void
}

async function begin(asked: Asked): Promise<Running> {
  const child: ChildProcess = fork(new URL('./inspect/system.ts', import.meta.url), { execArgv: ['--expose-gc'] })
  const ask = async (given: Asked): Promise<Told> => {
    child.send(given)
    const [told] = (await once(child, 'message')) as [Told]
    return told
  }
  const { link = '' } = await ask(asked)
  return { link, ask, end: () => child.kill('SIGKILL') }
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1] ?? Number.NaN
}
