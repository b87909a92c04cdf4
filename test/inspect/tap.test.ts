import { actor, exponential, start, supervisor, task } from 'rootcatch'
import { settle } from 'rootcatch/testing'
import { describe, expect, test } from 'vitest'
import { assign, fromPromise, setup, type InspectionEvent } from 'xstate'
import { edgeOf } from '../../src/actors/chart-data.ts'
import type { Sink } from '../../src/actors/tap.ts'
import { lookingOn } from '../support/looking-on.ts'
import { lives, raise, tell } from '../support/lives.ts'

function recorder(): { readonly sink: Sink; readonly lines: string[] } {
  const lines: string[] = []
  const sink: Sink = {
    appeared: (observed) => void lines.push(`appeared ${observed.path}`),
    took: (observed, event) => void lines.push(`took ${observed.path} ${event.type}`),
    moved: (observed) => void lines.push(`moved ${observed.path} ${String(observed.snapshot()?.value)}`),
    stepped: (observed, edges) => void lines.push(`stepped ${observed.path} ${edges().join()}`),
  }
  return { sink, lines }
}

const door = setup({ actors: { knock: fromPromise(async () => 'who?') } }).createMachine({
  id: 'door',
  initial: 'closed',
  context: { opened: 0 },
  states: {
    closed: { on: { open: { target: 'open', actions: assign({ opened: ({ context }) => context.opened + 1 }) } } },
    open: { invoke: { src: 'knock', id: 'knock', onDone: 'closed' } },
  },
})

describe('observe()', () => {
  test('attached late hears everything from then on, by the paths of the tree', async () => {
    const { inspector, inspected } = lookingOn()
    const system = await start(supervisor('app', [actor('door', door)]), { inspect: inspector })
    const { sink, lines } = recorder()
    const end = inspected().observe(sink)
    tell(system, 'app/door', { type: 'open' })
    await settle()
    expect(lines).toEqual(
      expect.arrayContaining([
        'took app/door open',
        'stepped app/door closed|open|0',
        'appeared app/door/knock',
        'moved app/door open',
        'took app/door xstate.done.actor.knock',
        'moved app/door closed',
      ]),
    )
    const heard = lines.length
    end()
    tell(system, 'app/door', { type: 'open' })
    await settle()
    expect(lines).toHaveLength(heard)
    await system.stop()
  })

  test('tells each step of a job, whichever form its chart runs in', async () => {
    const { inspector, inspected } = lookingOn()
    const flaky = task(
      'flaky',
      { retry: { attempts: 2, backoff: exponential({ from: 1, to: 1 }) } },
      (_: undefined, ctx) => (ctx.attempt === 1 ? raise('once') : 7),
    )
    const system = await start(supervisor('app', [flaky]), { inspect: inspector })
    const { sink, lines } = recorder()
    inspected().observe(sink)
    const run = system.run(flaky)
    expect(await run).toBe(7)
    const path = run.path
    expect(lines.filter((line) => line.startsWith(`stepped ${path}`))).toEqual([
      `stepped ${path} running|attempt.error|2`,
      `stepped ${path} retrying|wait.over|0`,
      `stepped ${path} running|attempt.value|0`,
    ])
    expect(lines).toContain(`moved ${path} done`)
    await system.stop()

    // An observer of XState's own gets the chart interpreted.
    const steps: string[] = []
    const inspect = (event: InspectionEvent): void => {
      if (event.type !== '@xstate.microstep' || !(event.actorRef as { id?: string }).id?.startsWith('job:')) return
      steps.push(event._transitions.map(edgeOf).join())
    }
    const interpreted = await start(supervisor('app', [flaky]), { inspect })
    await interpreted.run(flaky)
    await interpreted.stop()
    const compiled = lines.filter((line) => line.startsWith(`stepped ${path}`)).map((line) => line.split(' ')[2])
    expect(steps.filter((edges) => edges !== '')).toEqual(compiled)
  })

  test('by a sink that throws harms nobody, and is removed after three throws', async () => {
    const { inspector, inspected } = lookingOn()
    const { life } = lives()
    const system = await start(supervisor('app', [life('a')]), { inspect: inspector })
    const told: string[] = []
    system.on('callback.failed', ({ callback }) => told.push(callback))
    const no = (): never => raise('sink')
    inspected().observe({ appeared: no, took: no, moved: no, stepped: no })
    for (let n = 0; n < 5; n += 1) tell(system, 'app/a', { type: 'count' })
    expect(told).toEqual(['observer', 'observer', 'observer, for the third time; it is removed'])
    expect(system.tree().children?.[0]?.status).toBe('running')
    await system.stop()
  })
})

describe('the registry', () => {
  test('gives every node to who comes late, charts and live jobs included', async () => {
    const { inspector, inspected } = lookingOn()
    const gate = Promise.withResolvers<void>()
    const slow = task('slow', () => gate.promise)
    const root = supervisor('app', [actor('door', door), supervisor('media', [slow])])
    const system = await start(root, { inspect: inspector })
    const run = system.run(slow)
    await settle()
    const nodes = [...inspected().nodes()]
    expect(nodes.map(({ path, parent, kind, phase }) => [path, parent, kind, phase])).toEqual([
      ['app', undefined, 'supervisor', 'running'],
      ['app/door', 'app', 'actor', 'running'],
      ['app/media', 'app', 'supervisor', 'running'],
      ['app/media/slow', 'app/media', 'task', 'running'],
    ])
    expect(nodes[1]?.actor?.chart?.root.states.map(({ key }) => key)).toEqual(['closed', 'open'])
    expect(inspected().node('app/media/slow')?.jobs).toEqual({ running: 1, retrying: 0 })
    expect([...inspected().jobs('app/media/slow')].map(({ path }) => path)).toEqual([run.path])
    gate.resolve()
    await run
    await system.stop()
  })

  test('of a system that is one task has that task alone', async () => {
    const { inspector, inspected } = lookingOn()
    const system = await start(
      task('one', () => 1),
      { inspect: inspector },
    )
    expect([...inspected().nodes()].map(({ path, parent }) => [path, parent])).toEqual([['one', undefined]])
    await system.stop()
  })
})
