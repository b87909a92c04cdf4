/** Systems in a process of their own, which do what its parent asks for and tell what that cost. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { actor, start, supervisor, task, type ChildRef, type System } from 'rootcatch'
import { inspector } from 'rootcatch/inspect'
import { setup } from 'xstate'

/** The same system three times: without the option, with an inspector, and with an XState observer that does nothing. */
export type Kind = 'bare' | 'inspected' | 'observed'

export type Asked =
  | { readonly do: 'start'; readonly actors: number; readonly kinds: readonly Kind[] }
  /** Each kind in turn does a small batch, so often; what a job or a message cost, in µs of CPU, for each batch. */
  | {
      readonly do: 'compare'
      readonly work: 'jobs' | 'sends'
      readonly kinds: readonly Kind[]
      readonly rounds: number
      readonly batch: number
    }
  | { readonly do: 'load'; readonly rate: number; readonly seconds: number }
  | { readonly do: 'mark'; readonly name: string }

export interface Told {
  readonly link?: string
  readonly costs?: Readonly<Partial<Record<Kind, readonly number[]>>>
  /** In ms, of all threads. */
  readonly cpu?: number
  /** p99 of the delay of the event loop, in ms. */
  readonly loop?: number
  /** After a collection, in bytes; and the most that the process had meanwhile. */
  readonly heap?: number
  readonly rss?: number
  readonly sent?: number
}

const lamp = setup({}).createMachine({
  initial: 'off',
  states: { off: { on: { press: 'on' } }, on: { on: { press: 'off' } } },
})
/** A chart of a size that nobody draws by hand. */
const big = setup({}).createMachine({
  initial: 'room0',
  states: named('room', 20, (room) => ({
    initial: 'place0',
    states: named('place', 9, (place) => ({
      on: { step: `place${(place + 1) % 9}`, ...(place > 4 && { back: 'place0' }) },
    })),
    on: { on: `room${(room + 1) % 20}` },
  })),
})

function named<State>(name: string, count: number, make: (n: number) => State): Readonly<Record<string, State>> {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`${name}${n}`, make(n)]))
}
const IN_FLIGHT = 256

interface Running {
  readonly system: System
  readonly refs: readonly ChildRef[]
  work(count: number): Promise<unknown>
  next: number
}

const running = new Map<Kind, Running>()

process.on('message', (asked: Asked) => void answer(asked).then((told) => process.send?.(told)))

async function answer(asked: Asked): Promise<Told> {
  switch (asked.do) {
    case 'start': {
      let link = ''
      for (const kind of asked.kinds) running.set(kind, await begin(kind, asked.actors, (given) => (link = given)))
      return { link }
    }
    case 'compare':
      return { costs: await compare(asked) }
    case 'load':
      return measured(() => load(get('inspected'), asked.rate, asked.seconds))
    case 'mark':
      get('inspected').refs[0]?.send({ type: asked.name })
      return {}
  }
}

function get(kind: Kind): Running {
  const found = running.get(kind)
  if (found === undefined) throw new Error(`There is no ${kind} system.`)
  return found
}

async function begin(kind: Kind, actors: number, announce: (link: string) => void): Promise<Running> {
  const trivial = task('trivial', { concurrency: IN_FLIGHT }, (n: number) => n)
  const lamps = Array.from({ length: actors }, (_, n) => actor(`lamp-${n}`, lamp))
  const root = supervisor('app', [actor('big', big), supervisor('lamps', lamps), trivial])
  const inspect = { bare: undefined, observed: () => {}, inspected: inspector({ port: 0, announce }) }[kind]
  const system = await start(root, inspect === undefined ? {} : { inspect })
  const refs = system
    .supervisor('app/lamps')
    .children()
    .map(({ ref }) => ref)
  const work = async (count: number): Promise<unknown> => {
    let left = count
    const lane = async (): Promise<void> => {
      while (left > 0) {
        left -= 1
        await system.run(trivial, left)
      }
    }
    return Promise.all(Array.from({ length: IN_FLIGHT }, lane))
  }
  return { system, refs, work, next: 0 }
}

async function compare({
  work,
  kinds,
  rounds,
  batch,
}: Extract<Asked, { do: 'compare' }>): Promise<Readonly<Partial<Record<Kind, readonly number[]>>>> {
  const costs: Partial<Record<Kind, number[]>> = {}
  globalThis.gc?.()
  for (let round = 0; round < rounds; round += 1) {
    for (const kind of round % 2 === 0 ? kinds : kinds.toReversed()) {
      const it = get(kind)
      const before = process.cpuUsage()
      if (work === 'jobs') await it.work(batch)
      else for (let n = 0; n < batch; n += 1) press(it)
      const { user, system } = process.cpuUsage(before)
      ;(costs[kind] ??= []).push((user + system) / batch)
      await new Promise(setImmediate)
    }
  }
  return costs
}

async function measured(work: () => Promise<number>): Promise<Told> {
  globalThis.gc?.()
  let rss = 0
  const watch = setInterval(() => (rss = Math.max(rss, process.memoryUsage.rss())), 100)
  const loop = monitorEventLoopDelay({ resolution: 5 })
  loop.enable()
  const before = process.cpuUsage()
  const sent = await work()
  const { user, system: kernel } = process.cpuUsage(before)
  loop.disable()
  clearInterval(watch)
  globalThis.gc?.()
  const heap = process.memoryUsage().heapUsed
  return { cpu: (user + kernel) / 1_000, loop: loop.percentile(99) / 1e6 - 5, heap, rss, sent }
}

function press(it: Running): void {
  it.refs[it.next]?.send({ type: 'press' })
  it.next = (it.next + 1) % it.refs.length
}

/** What a slow process has missed is not forgiven, but made up for in steps: a burst would measure itself. */
function load(it: Running, rate: number, seconds: number): Promise<number> {
  const begun = performance.now()
  let sent = 0
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(seconds * rate, sent + rate / 100, ((performance.now() - begun) / 1_000) * rate)
      for (; sent < due; sent += 1) press(it)
      if (sent < seconds * rate) return
      clearInterval(timer)
      resolve(sent)
    }, 5)
  })
}
