/** A system in a process of its own, which does what its parent asks for and tells what that cost. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { actor, start, supervisor, task, type ChildRef, type System } from 'rootcatch'
import { inspector } from 'rootcatch/inspect'
import { setup } from 'xstate'

export type Asked =
  | { readonly do: 'start'; readonly actors: number; readonly inspect: boolean }
  | { readonly do: 'jobs'; readonly count: number }
  | { readonly do: 'events'; readonly rate: number; readonly seconds: number }
  | { readonly do: 'mark'; readonly name: string }

export interface Told {
  readonly link?: string
  /** In ms, of all threads. */
  readonly cpu?: number
  readonly loop?: number
  readonly heap?: number
  readonly sent?: number
}

const lamp = setup({}).createMachine({
  initial: 'off',
  states: { off: { on: { press: 'on' } }, on: { on: { press: 'off' } } },
})
const trivial = task('trivial', { concurrency: 256 }, (n: number) => n)
const IN_FLIGHT = 256

let system: System
let refs: readonly ChildRef[] = []
let next = 0

process.on('message', (asked: Asked) => void answer(asked).then((told) => process.send?.(told)))

async function answer(asked: Asked): Promise<Told> {
  switch (asked.do) {
    case 'start':
      return begin(asked.actors, asked.inspect)
    case 'jobs':
      return measured(() => runJobs(asked.count))
    case 'events':
      return measured(() => sendEvents(asked.rate, asked.seconds))
    case 'mark':
      refs[0]?.send({ type: asked.name })
      return {}
  }
}

async function begin(actors: number, isInspected: boolean): Promise<Told> {
  let link = ''
  const inspect = inspector({ port: 0, announce: (given) => (link = given) })
  const lamps = Array.from({ length: actors }, (_, n) => actor(`lamp-${n}`, lamp))
  const root = supervisor('app', [supervisor('lamps', lamps), trivial])
  system = await start(root, isInspected ? { inspect } : {})
  refs = system
    .supervisor('app/lamps')
    .children()
    .map(({ ref }) => ref)
  return { link }
}

async function measured(work: () => Promise<number>): Promise<Told> {
  globalThis.gc?.()
  const loop = monitorEventLoopDelay({ resolution: 5 })
  loop.enable()
  const before = process.cpuUsage()
  const sent = await work()
  const { user, system: kernel } = process.cpuUsage(before)
  loop.disable()
  globalThis.gc?.()
  const heap = process.memoryUsage().heapUsed
  return { cpu: (user + kernel) / 1_000, loop: loop.percentile(99) / 1e6 - 5, heap, sent }
}

async function runJobs(count: number): Promise<number> {
  let left = count
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      await system.run(trivial, left)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
  return count
}

/** What a slow process has missed is not forgiven, but made up for in steps: a burst would measure itself. */
function sendEvents(rate: number, seconds: number): Promise<number> {
  const begun = performance.now()
  let sent = 0
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(seconds * rate, sent + rate / 20, ((performance.now() - begun) / 1_000) * rate)
      for (; sent < due; sent += 1) {
        refs[next]?.send({ type: 'press' })
        next = (next + 1) % refs.length
      }
      if (sent < seconds * rate) return
      clearInterval(timer)
      resolve(sent)
    }, 10)
  })
}
