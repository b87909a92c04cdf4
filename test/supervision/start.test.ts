import {
  actor,
  DuplicateNameError,
  Failure,
  InvalidOptionError,
  resume,
  start,
  stop,
  supervisor,
  task,
  TimeoutError,
  UnknownOptionError,
  exponential,
  type Definition,
} from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'
import { describe, expect, test, vi } from 'vitest'
import { createMachine, fromCallback, fromPromise } from 'xstate'
import { childAt, decisionsOf, isOpen, listOf, lives, raise, tell } from '../support/lives.ts'

async function failureOf(promise: Promise<unknown>): Promise<Failure> {
  const error = await promise.then(
    () => new Error('nothing was rejected'),
    (thrown: unknown) => thrown,
  )
  if (error instanceof Failure) return error
  throw error
}

const final = createMachine({ initial: 'over', states: { over: { type: 'final' } } })

describe('start', () => {
  test('S1: a supervisor without children runs, stops, and done resolves', async () => {
    const system = await start(supervisor('app', []))
    expect(system.tree()).toMatchObject({ name: 'app', status: 'running', state: 'running', children: [] })
    expect(system.supervisor('app').count()).toMatchObject({ total: 0, running: 0 })
    await system.stop()
    await expect(system.done).resolves.toBeUndefined()
    expect(system.tree()).toMatchObject({ status: 'stopped' })
  })

  test('S2: children c, a, 10, 2 start in that order, each after the one before is ready', async () => {
    const { lines, life } = lives()
    const clock = manualClock()
    const names = ['c', 'a', '10', '2']
    const starting = start(
      supervisor(
        'app',
        names.map((name) => slowly(life(name, { ready: isOpen }))),
      ),
      { clock },
    )
    const seen: string[] = []
    for (const name of names) {
      await settle()
      expect(lines).toEqual([...seen, `+${name}`])
      seen.push(`+${name}`)
      await clock.advance(1_000)
    }
    const system = await starting
    expect(listOf(system, 'app')).toBe('c running 1, a running 1, 10 running 1, 2 running 1')
    await system.stop()
    expect(lines.slice(4)).toEqual(['-2', '-10', '-a', '-c'])

    /** Sends itself `open` after a second. */
    function slowly(definition: ReturnType<typeof life>): Definition {
      const { logic } = definition
      const wrapped = Object.create(logic) as typeof logic
      wrapped.start = (snapshot, scope) => {
        logic.start?.(snapshot, scope)
        clock.setTimeout(() => scope.self.send({ type: 'open' }), 1_000)
      }
      return actor(definition.name, wrapped, { ready: isOpen })
    }
  })

  test('S3: b and c unwind when c throws while starting: b stops, then a; start rejects with the path of c', async () => {
    const { lines, life } = lives()
    const error = new Error('no c')
    const root = supervisor('app', [life('a'), life('b'), life('c', { onStart: () => raise(error) })])
    const failure = await failureOf(start(root))
    expect(failure).toMatchObject({ path: 'app/c', kind: 'start', generation: 1 })
    expect(failure.error).toBe(error)
    expect(failure.trail).toEqual([])
    expect(lines).toEqual(['+a', '+b', '-b', '-a'])
  })

  test('S4: the same three levels deep: all levels unwind, the root catch is not asked', async () => {
    const { lines, life } = lives()
    const asked = vi.fn<() => typeof resume>(() => resume)
    const error = new Error('no d')
    const inner = supervisor('inner', { catch: asked }, [life('c'), life('d', { onStart: () => raise(error) })])
    const middle = supervisor('middle', { catch: asked }, [life('b'), inner])
    const clock = manualClock()
    const failure = await failureOf(start(supervisor('app', [life('a'), middle]), { catch: asked, clock }))
    expect(failure).toMatchObject({ path: 'app/middle/inner/d', kind: 'start', error })
    expect(lines).toEqual(['+a', '+b', '+c', '-c', '-b', '-a'])
    expect(asked).not.toHaveBeenCalled()
    expect(clock.pending).toBe(0)
  })

  test('S5: with limit and backoff set, a first start that fails is tried once', async () => {
    const starts = vi.fn<() => never>(() => raise(new Error('no')))
    const clock = manualClock()
    const backoff = exponential({ from: '1s', to: '1m' })
    const root = supervisor('app', { restarts: { limit: 9, within: '1m' }, backoff }, [
      lives().life('a', { onStart: starts }),
    ])
    await failureOf(start(root, { clock }))
    await clock.advance('5m')
    expect(starts).toHaveBeenCalledTimes(1)
    expect(clock.pending).toBe(0)
  })

  test('S6: later siblings start after a machine that is final at once; transient: stopped, temporary: gone', async () => {
    const root = supervisor('app', [
      actor('once', final, { restart: 'transient' }),
      actor('gone', final, { restart: 'temporary' }),
      lives().life('a'),
    ])
    const system = await start(root)
    expect(listOf(system, 'app')).toBe('once stopped 1, a running 1')
    await system.stop()
  })

  test('a child that ends before it was ready has started, and ended', async () => {
    const names: string[] = []
    const clock = manualClock()
    const system = await start(supervisor('app', []), { clock })
    system.on('*', ({ type }) => names.push(type))
    await system.spawn(actor('once', final, { restart: 'temporary', ready: () => false }))
    expect(names).toEqual(['actor.started', 'actor.ended'])
    expect(clock.pending).toBe(0)
    expect((await system.stats()).actors).toMatchObject({ started: 2, ended: 1 })
    await system.stop()
  })

  test('S7: options that are left out are the defaults', async () => {
    const clock = manualClock()
    const stuck = createMachine({ on: { shutdown: { actions: () => {} } } })
    const root = supervisor('app', [actor('a', stuck), supervisor('sup', [actor('b', stuck, { shutdown: '8s' })])])
    expect(root).toMatchObject({
      strategy: 'one-for-one',
      restarts: { limit: 3, within: 5_000 },
      backoff: undefined,
      catch: undefined,
      autoShutdown: 'never',
      child: { restart: 'permanent', significant: false, ready: undefined, startTimeout: Infinity, shutdown: Infinity },
    })
    expect(root.children[0]?.child).toMatchObject({ restart: 'permanent', startTimeout: 30_000, shutdown: 5_000 })
    const system = await start(root, { clock })
    expect(system.supervisor('app').children()).toMatchObject([
      { name: 'a', path: 'app/a', status: 'running', restart: 'permanent', generation: 1 },
      { name: 'sup', path: 'app/sup', status: 'running', restart: 'permanent', generation: 1 },
    ])
    const stopped = vi.fn<() => void>()
    void system.stop().then(stopped)
    await clock.advance(12_999) // b has 8s, its supervisor all the time in the world, then a has 5s
    expect(stopped).not.toHaveBeenCalled()
    await clock.advance(1)
    expect(stopped).toHaveBeenCalled()
  })

  test.each([
    ['strategy', { strategy: 'one' }, 'got strategy "one" (string)'],
    ['a limit below 0', { restarts: { limit: -1 } }, 'got restarts.limit -1 (number)'],
    ['half a limit', { restarts: { limit: 1.5 } }, 'got restarts.limit 1.5 (number)'],
    ['no limit at all', { restarts: { limit: Infinity } }, 'got restarts.limit Infinity (number)'],
    ['a window of nothing', { restarts: { within: 0 } }, 'got restarts.within 0 (number)'],
    ['an endless window', { restarts: { within: Infinity } }, 'got restarts.within Infinity (number)'],
    ['a mode of auto-shutdown', { autoShutdown: 'some' }, 'got autoShutdown "some" (string)'],
    ['a restart type', { restart: 'always' }, 'got restart "always" (string)'],
    ['a shutdown', { shutdown: 'soon' }, 'got shutdown "soon" (string)'],
    ['a backoff', { backoff: 100 }, 'got backoff 100 (number)'],
    ['a catch', { catch: 'restart' }, 'got catch "restart" (string)'],
  ])('S8: %s that is none is refused, option and value named', (_what, options, message) => {
    const define = (): unknown => supervisor('shop', options as never, [])
    expect(define).toThrow(InvalidOptionError)
    expect(define).toThrow(`supervisor "shop" ${message}`)
  })

  test('S8: an option nobody knows is refused, with the nearest one', () => {
    const define = (): unknown => supervisor('shop', { stratgy: 'one-for-all' } as never, [])
    expect(define).toThrow(UnknownOptionError)
    expect(define).toThrow('Did you mean "strategy"?')
    expect(() => actor('a', final, { redy: () => true } as never)).toThrow('Did you mean "ready"?')
  })

  test.each([[42], [null], [{ kind: 'actor', name: 'a' }], ['a'], [() => final]])(
    'S9: child %o is refused',
    (child) => {
      const define = (): unknown => supervisor('shop', [child as never])
      expect(define).toThrow(InvalidOptionError)
      expect(define).toThrow('children[0]')
    },
  )

  test.each([[''], ['a/b'], [42], [undefined]])('S9: the name %o is refused', (name) => {
    expect(() => actor(name as never, final)).toThrow(InvalidOptionError)
    expect(() => supervisor(name as never, [])).toThrow(InvalidOptionError)
  })

  test('S9: two children of one name are refused', () => {
    const define = (): unknown => supervisor('shop', [actor('a', final), actor('b', final), actor('a', final)])
    expect(define).toThrow(DuplicateNameError)
    expect(define).toThrow('supervisor "shop" has two children named "a", the 1st and the 3rd.')
  })

  test('a definition that stands at two places is refused before anything starts', async () => {
    const { lines, life } = lives()
    const a = life('a')
    const root = supervisor('app', [supervisor('x', [a]), supervisor('y', [a])])
    await expect(start(root)).rejects.toThrow(DuplicateNameError)
    await expect(start(root)).rejects.toThrow('stands at app/x/a and at app/y/a')
    expect(lines).toEqual([])
  })

  test('a definition that contains itself is refused before anything starts', async () => {
    const inner = { ...supervisor('inner', []), children: [] as Definition[] }
    inner.children.push(inner)
    await expect(start(supervisor('app', [inner]))).rejects.toThrow(InvalidOptionError)
  })

  test('S10: an actor that threw while a sibling starts is held, and goes on as decided', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', []))
    const decisions = decisionsOf(system)
    const starting = system
      .supervisor('app')
      .startChild(
        supervisor('sup', { catch: ({ error }) => (error === 1 ? resume : stop) }, [
          life('a'),
          life('b', { restart: 'transient' }),
          life('c', { ready: isOpen }),
        ]),
      )
    await settle()
    tell(system, 'app/sup/a', { type: 'count' })
    tell(system, 'app/sup/a', { type: 'fail', error: 1 })
    tell(system, 'app/sup/a', { type: 'count' })
    tell(system, 'app/sup/b', { type: 'fail', error: 2 })
    await settle()
    expect(decisions).toEqual([])
    expect(childAt(system, 'app/sup/a')).toMatchObject({ status: 'running' })
    tell(system, 'app/sup/c', { type: 'open' })
    await starting
    expect(decisions).toEqual(['app/sup/a resume by catch', 'app/sup/b stop by catch'])
    expect(listOf(system, 'app/sup')).toBe('a running 1, b stopped 1, c running 1')
    expect(childAt(system, 'app/sup/a').ref.getSnapshot()).toMatchObject({ context: { count: 2 } })
    await system.stop()
  })

  test('S10: a fails while c is still starting: once c is ready, a is decided and restarted', async () => {
    const { life } = lives()
    const clock = manualClock()
    const system = await start(supervisor('app', []), { clock })
    const decisions = decisionsOf(system)
    const starting = system
      .supervisor('app')
      .startChild(
        supervisor('sup', [life('a'), life('b'), life('c', { restart: 'transient' }), life('z', { ready: isOpen })]),
      )
    await settle()
    tell(system, 'app/sup/a', { type: 'fail', error: 1 })
    tell(system, 'app/sup/b', { type: 'end' })
    tell(system, 'app/sup/c', { type: 'end' })
    await settle()
    expect(listOf(system, 'app/sup')).toBe('a running 1, b restarting 1, c stopped 1, z starting 1')
    tell(system, 'app/sup/z', { type: 'open' })
    await starting
    await settle()
    expect(listOf(system, 'app/sup')).toBe('a running 2, b running 2, c stopped 1, z running 1')
    expect(decisions).toEqual(['app/sup/a restart by restart type'])
    await system.stop()
    expect(clock.pending).toBe(0)
  })

  test('what failed while a sibling started is reported if that start fails', async () => {
    const { life } = lives()
    const clock = manualClock()
    const asked = vi.fn<() => typeof resume>(() => resume)
    const system = await start(supervisor('app', []), { clock })
    const decisions = decisionsOf(system)
    const starting = system
      .supervisor('app')
      .startChild(supervisor('sup', { catch: asked }, [life('a'), life('b'), life('z', { ready: isOpen })]))
    await settle()
    tell(system, 'app/sup/a', { type: 'fail', error: 1 })
    tell(system, 'app/sup/z', { type: 'fail', error: 2 })
    await expect(starting).rejects.toMatchObject({ path: 'app/sup/z', error: 2, kind: 'start' })
    expect(decisions).toEqual(['app/sup/a stop by stopping'])
    expect(asked).not.toHaveBeenCalled()
    expect(system.supervisor('app').children()).toEqual([])
    expect(() => system.supervisor('app/sup')).toThrow('there is no supervisor at "app/sup"')
    await system.stop()
    expect(clock.pending).toBe(0)
  })
})

describe('ready', () => {
  test('is asked for each snapshot until it says true', async () => {
    const { life } = lives()
    const ready = vi.fn<typeof isOpen>(isOpen)
    const clock = manualClock()
    const system = await start(supervisor('app', []), { clock })
    const starting = system.spawn(life('a', { ready }))
    await settle()
    tell(system, 'app/a:1', { type: 'count' })
    expect(childAt(system, 'app/a:1').status).toBe('starting')
    tell(system, 'app/a:1', { type: 'open' })
    await starting
    const asked = ready.mock.calls.length
    tell(system, 'app/a:1', { type: 'count' })
    expect(ready).toHaveBeenCalledTimes(asked)
    expect(clock.pending).toBe(0)
    await system.stop()
  })

  test('that throws is a start that failed', async () => {
    const { lines, life } = lives()
    const error = new Error('not ready')
    const ready = (): never => raise(error)
    const clock = manualClock()
    const failure = await failureOf(start(supervisor('app', [life('a', { ready })]), { clock }))
    expect(failure).toMatchObject({ path: 'app/a', kind: 'start', error })
    expect(lines).toEqual(['+a', '-a'])
    expect(clock.pending).toBe(0)
  })

  test.each([['truthy'], [1], [undefined]])('that says %o has not said true', async (answer) => {
    const { life } = lives()
    const clock = manualClock()
    const starting = start(supervisor('app', [life('a', { ready: () => answer as never })]), { clock })
    starting.catch(() => {})
    await clock.advance('30s')
    await expect(starting).rejects.toMatchObject({ kind: 'start' })
  })

  test('has 30s by default, then the start failed', async () => {
    const { lines, life } = lives()
    const clock = manualClock()
    const starting = start(supervisor('app', [life('a', { ready: isOpen })]), { clock })
    starting.catch(() => {})
    await clock.advance(29_999)
    expect(lines).toEqual(['+a'])
    await clock.advance(1)
    const failure = await failureOf(starting)
    expect(failure.error).toBeInstanceOf(TimeoutError)
    expect(String(failure.error)).toContain('app/a was not ready after 30s.')
    expect(lines).toEqual(['+a', '-a'])
    expect(clock.pending).toBe(0)
  })

  test('of a supervisor is that of all its children; its startTimeout covers them together', async () => {
    const { lines, life } = lives()
    const clock = manualClock()
    const sup = supervisor('sup', { startTimeout: '10s' }, [life('a'), life('b', { ready: isOpen })])
    const starting = start(supervisor('app', [sup]), { clock })
    starting.catch(() => {})
    await clock.advance('10s')
    const failure = await failureOf(starting)
    expect(failure).toMatchObject({ path: 'app/sup', kind: 'start', error: expect.any(TimeoutError) })
    expect(lines).toEqual(['+a', '+b', '-b', '-a'])
    expect(clock.pending).toBe(0)
  })
})

describe('a start that fails', () => {
  test.each([
    ['promise logic whose creator throws', fromPromise(() => raise(1))],
    ['callback logic that throws', fromCallback(() => raise(1))],
    ['a context that throws', createMachine({ context: () => raise(1) })],
    ['an entry action that throws', createMachine({ entry: () => raise(1) })],
    ['an input that throws', createMachine({ invoke: { src: fromPromise(async () => 1), input: () => raise(1) } })],
  ])('by %s is of kind start', async (_what, logic) => {
    const failure = await failureOf(start(supervisor('app', [actor('a', logic)])))
    expect(failure).toMatchObject({ path: 'app/a', kind: 'start', error: 1 })
  })

  test('by an entry action takes the children of the initial state along', async () => {
    const lines: string[] = []
    const child = (name: string): ReturnType<typeof fromCallback> =>
      fromCallback(() => {
        lines.push(`+${name}`)
        return () => lines.push(`-${name}`)
      })
    const machine = createMachine({
      initial: 'on',
      states: {
        on: {
          invoke: [
            { src: child('x'), systemId: 'x' },
            { src: child('y'), systemId: 'y' },
          ],
          entry: () => raise(1),
        },
      },
    })
    const system = await start(supervisor('app', []))
    const failing = system.spawn(actor('a', machine))
    await expect(failing).rejects.toMatchObject({ error: 1 })
    expect(lines.toSorted()).toEqual(['+x', '+y', '-x', '-y'].filter((line) => lines.includes(line)).toSorted())
    expect(lines.filter((line) => line.startsWith('+'))).toHaveLength(lines.filter((l) => l.startsWith('-')).length)
    const again = system.spawn(actor('a', machine))
    await expect(again).rejects.toMatchObject({ error: 1 }) // its system ids were free
    await system.stop()
  })

  test('is a task or an actor alone as well: start(actor) rejects', async () => {
    const failure = await failureOf(
      start(
        actor(
          'a',
          fromCallback(() => raise('no')),
        ),
      ),
    )
    expect(failure).toMatchObject({ path: 'a', kind: 'start', error: 'no' })
    const system = await start(task('t', () => 1))
    expect(system.tree()).toMatchObject({ name: 't', path: 't', kind: 'task' })
    await system.stop()
  })

  test('leaves no listener of the process behind', async () => {
    const before = process.listenerCount('unhandledRejection')
    await failureOf(
      start(
        supervisor('app', [
          actor(
            'a',
            fromCallback(() => raise('no')),
          ),
        ]),
      ),
    )
    expect(process.listenerCount('unhandledRejection')).toBe(before)
  })
})
