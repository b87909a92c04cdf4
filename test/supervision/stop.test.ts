import {
  actor,
  exponential,
  memory,
  restart,
  start,
  stop,
  supervisor,
  SystemStoppedError,
  task,
  type Failure,
  type System,
} from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'
import { describe, expect, test, vi } from 'vitest'
import { createMachine, fromCallback, fromObservable, fromPromise, fromTransition, type AnyActorLogic } from 'xstate'
import { decisionsOf, fail, failuresOf, isOpen, listOf, lives, raise, tell } from '../support/lives.ts'

/** A machine that takes `shutdown` and ends after some time of the system's clock. */
const endsAfter = (ms: number): AnyActorLogic =>
  createMachine({
    initial: 'up',
    states: {
      up: { on: { shutdown: 'draining' } },
      draining: { after: { [ms]: 'over' } },
      over: { type: 'final' },
    },
  })

const stuck = createMachine({ on: { shutdown: { actions: () => {} } } })

/** `app/a stopped` as it is told by events. */
function stopsOf(system: System): string[] {
  const lines: string[] = []
  system.on('actor.stopped', ({ path, how }) => lines.push(`${path} ${how}`))
  return lines
}

describe('stop', () => {
  test.each([
    ['a machine that takes shutdown', endsAfter(300), '5s', 300, 'stopped'],
    ['a machine that takes shutdown and ends at once', endsAfter(0), '5s', 0, 'stopped'],
    ['a machine that takes it and has not the time', endsAfter(300), '200ms', 200, 'killed'],
    ['a machine that takes it and is killed', endsAfter(300), 'kill', 0, 'killed'],
    ['a machine that does not take it', createMachine({}), '5s', 0, 'stopped'],
    ['a machine that takes anything, by *', createMachine({ on: { '*': {} } }), '5s', 0, 'stopped'],
    ['a promise', fromPromise(() => new Promise(() => {})), '5s', 0, 'stopped'],
    ['a callback', fromCallback(() => {}), Infinity, 0, 'stopped'],
    ['an observable', fromObservable(() => ({ subscribe: () => ({ unsubscribe: () => {} }) })), '5s', 0, 'stopped'],
    ['a transition function', fromTransition((state) => state, {}), '5s', 0, 'stopped'],
    ['a callback that is killed', fromCallback(() => {}), 'kill', 0, 'killed'],
  ] as const)('of %s', async (_what, logic, shutdown, ms, how) => {
    const clock = manualClock()
    const system = await start(supervisor('app', [actor('a', logic as AnyActorLogic, { shutdown })]), { clock })
    const stops = stopsOf(system)
    const isDown = vi.fn<() => void>()
    void system.stop().then(isDown)
    await clock.advance(Math.max(0, ms - 1))
    expect(isDown).toHaveBeenCalledTimes(ms > 0 ? 0 : 1)
    await clock.advance(Math.min(ms, 1))
    expect(isDown).toHaveBeenCalledTimes(1)
    expect(stops).toEqual([`app/a ${how}`, 'app stopped'])
    expect(clock.pending).toBe(0)
    await expect(system.done).resolves.toBeUndefined()
    const { actors } = await system.stats()
    expect(actors).toMatchObject(how === 'killed' ? { stopped: 1, killed: 1 } : { stopped: 2, killed: 0 })
  })

  test('X1: shutdown Infinity, the child takes 300 ms: waited for, how: stopped', async () => {
    const clock = manualClock()
    const a = actor('a', endsAfter(300), { shutdown: Infinity })
    const system = await start(supervisor('app', [a]), { clock })
    const stops = stopsOf(system)
    const isDown = vi.fn<() => void>()
    void system.stop().then(isDown)
    await clock.advance(299)
    expect(isDown).not.toHaveBeenCalled()
    expect(listOf(system, 'app')).toBe('a stopping 1')
    await clock.advance(1)
    expect(isDown).toHaveBeenCalled()
    expect(stops).toEqual(['app/a stopped', 'app stopped'])
  })

  test('X2: children end or fail by themselves while stopping: none restarted, all stopped', async () => {
    const { lines, life } = lives()
    const clock = manualClock()
    const asked = vi.fn<() => typeof restart>(() => restart)
    const children = [life('a'), life('b'), life('c'), actor('z', endsAfter(100))]
    const system = await start(supervisor('app', { catch: asked }, children), { clock })
    const failures = failuresOf(system)
    const stopped = system.stop()
    tell(system, 'app/a', { type: 'end' })
    fail(system, 'app/b', 'b')
    await clock.advance(100)
    await stopped
    expect(listOf(system, 'app')).toBe('a stopped 1, b stopped 1, c stopped 1, z stopped 1')
    expect(asked).not.toHaveBeenCalled()
    expect(failures.map(({ path, trail }) => [path, ...trail])).toEqual([
      ['app/b', { path: 'app', decision: 'stop', by: 'stopping' }],
    ])
    expect(lines).toEqual(['+a', '+b', '+c', '-a', '-b', '-c'])
    await expect(system.done).resolves.toBeUndefined()
  })

  test('X3: a machine takes shutdown and never ends: cut off when its time is over, the stop goes on', async () => {
    const { lines, life } = lives()
    const clock = manualClock()
    const system = await start(supervisor('app', [life('a'), actor('z', stuck, { shutdown: '2s' })]), { clock })
    const stops = stopsOf(system)
    const stopped = system.stop()
    await clock.advance(1_999)
    expect(lines).toEqual(['+a'])
    await clock.advance(1)
    await stopped
    expect(stops).toEqual(['app/z killed', 'app/a stopped', 'app stopped'])
  })

  test('X4: a runs, limit 0: stopChild: no restart, no charge', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', { restarts: { limit: 0 } }, [life('a'), life('b')]))
    await system.supervisor('app').stopChild('a')
    await settle()
    expect(listOf(system, 'app')).toBe('a stopped 1, b running 1')
    await system.stop()
  })

  test('X5: promise logic is stopped: the signal aborts at once, a late result changes nothing', async () => {
    let finish: (value: unknown) => void = () => {}
    let signal: AbortSignal | undefined
    const logic = fromPromise((given) => {
      signal = given.signal
      return new Promise((resolve) => void (finish = resolve))
    })
    const system = await start(supervisor('app', [actor('a', logic)]))
    const events: string[] = []
    system.on('*', ({ type }) => events.push(type))
    expect(signal?.aborted).toBe(false)
    await system.supervisor('app').stopChild('a')
    expect(signal?.aborted).toBe(true)
    finish('late')
    await settle()
    expect(listOf(system, 'app')).toBe('a stopped 1')
    expect(events).toEqual(['actor.stopped'])
    await system.supervisor('app').restartChild('a')
    expect(signal?.aborted).toBe(false)
    await system.stop()
    expect(signal?.aborted).toBe(true)
  })

  test('goes in reverse start order, each completely before the next, dynamic children first and all at once', async () => {
    const { life } = lives()
    const clock = manualClock()
    const ends = (ms: number): AnyActorLogic => endsAfter(ms)
    const system = await start(
      supervisor('app', [actor('a', ends(100)), supervisor('sup', [actor('b', ends(100)), life('c')]), life('d')]),
      { clock },
    )
    for (const ms of [300, 100, 200]) await system.spawn(actor('x', ends(ms)))
    const stops: string[] = []
    system.on('actor.stopped', ({ path, at }) => stops.push(`${at} ${path}`))
    const stopped = system.stop()
    await clock.advance(500)
    await stopped
    expect(stops).toEqual([
      '100 app/x:2',
      '200 app/x:3',
      '300 app/x:1',
      '300 app/d',
      '300 app/sup/c',
      '400 app/sup/b',
      '400 app/sup',
      '500 app/a',
      '500 app',
    ])
  })

  test('stops the children of a machine in reverse, too', async () => {
    const lines: string[] = []
    const part = (name: string): AnyActorLogic => fromCallback(() => () => lines.push(`-${name}`))
    const machine = createMachine({
      invoke: [
        { src: part('x'), id: 'x' },
        { src: part('10'), id: '10' },
        { src: part('y'), id: 'y' },
        { src: part('2'), id: '2' },
      ],
    })
    const system = await start(actor('a', machine))
    await system.stop()
    expect(lines).toEqual(['-2', '-y', '-10', '-x'])
  })

  test('of a supervisor with a shutdown of its own cuts off what is left when its time is over', async () => {
    const clock = manualClock()
    const sup = supervisor('sup', { shutdown: '1s' }, [actor('a', stuck), actor('b', stuck), actor('c', stuck)])
    const system = await start(supervisor('app', [sup]), { clock })
    const stops = stopsOf(system)
    const stopped = system.stop()
    await clock.advance('1s')
    await stopped
    expect(stops).toEqual(['app/sup/c killed', 'app/sup/b killed', 'app/sup/a killed', 'app/sup killed', 'app stopped'])
    expect(clock.pending).toBe(0)
  })

  test('by kill asks nobody below a supervisor', async () => {
    const { lines, life } = lives()
    const sup = supervisor('sup', { shutdown: 'kill' }, [life('a'), supervisor('deep', [actor('b', stuck), life('c')])])
    const clock = manualClock()
    const system = await start(supervisor('app', [sup]), { clock })
    await system.spawn(actor('x', stuck), { under: 'app/sup' })
    const stops = stopsOf(system)
    await system.supervisor('app').stopChild('sup')
    expect(stops).toEqual([
      'app/sup/x:1 killed',
      'app/sup/deep/c killed',
      'app/sup/deep/b killed',
      'app/sup/deep killed',
      'app/sup/a killed',
      'app/sup killed',
    ])
    expect(lines).toEqual(['+a', '+c', '-c', '-a'])
    expect(clock.pending).toBe(0)
    await system.stop()
  })

  test('that runs out of time in the middle of a stop kills what is stopping', async () => {
    const clock = manualClock()
    const sup = supervisor('sup', { shutdown: '1s' }, [actor('a', stuck, { shutdown: Infinity })])
    const system = await start(supervisor('app', [sup]), { clock })
    await system.spawn(actor('x', stuck, { shutdown: Infinity }), { under: 'app/sup' })
    const stopped = system.supervisor('app').stopChild('sup')
    await clock.advance('1s')
    await stopped
    expect(clock.pending).toBe(0)
    await system.stop()
  })

  test('during a backoff ends the round: no timer stays, nothing starts later', async () => {
    const { lines, life } = lives()
    const clock = manualClock()
    const backoff = exponential({ from: '1h', to: '1h' })
    const system = await start(supervisor('app', { backoff }, [life('a'), life('b')]), { clock })
    fail(system, 'app/a')
    expect(clock.pending).toBe(1)
    await system.stop()
    expect(clock.pending).toBe(0)
    await clock.advance('2h')
    expect(lines).toEqual(['+a', '+b', '-a', '-b'])
  })

  test('while a supervisor starts unwinds that start', async () => {
    const { lines, life } = lives()
    const clock = manualClock()
    const system = await start(supervisor('app', [life('z')]), { clock })
    const starting = system.supervisor('app').startChild(supervisor('sup', [life('a'), life('b', { ready: isOpen })]))
    const message = starting.catch((error: Error) => error.message)
    await settle()
    await system.stop()
    expect(await message).toContain('app is stopped, so startChild did nothing.')
    expect(lines).toEqual(['+z', '+a', '+b', '-b', '-a', '-z'])
    expect(clock.pending).toBe(0)
  })

  test('while a spawned child starts answers whoever waits for it', async () => {
    const { life } = lives()
    const clock = manualClock()
    const system = await start(supervisor('app', []), { clock })
    const starting = system.spawn(life('x', { ready: isOpen }))
    const message = starting.catch((error: Error) => error.message)
    await settle()
    await system.stop()
    expect(await message).toContain('app is stopped, so spawn did nothing.')
    expect(clock.pending).toBe(0)
  })

  test('in the middle of an event of the child that asked for it waits for that event', async () => {
    const seen: string[] = []
    const machine = createMachine({
      on: {
        go: {
          actions: () => {
            void system.stop()
            seen.push('rest of the step')
          },
        },
      },
    })
    const system: System = await start(actor('a', machine))
    system.supervisor('').children()[0]?.ref.send({ type: 'go' })
    await system.stop()
    expect(seen).toEqual(['rest of the step'])
  })

  test('in the middle of an event that then throws reports that failure', async () => {
    const machine = createMachine({
      on: {
        go: {
          actions: () => {
            void system.stop()
            raise('too late')
          },
        },
      },
    })
    const system: System = await start(supervisor('app', { catch: () => restart }, [actor('a', machine)]))
    const decisions = decisionsOf(system)
    system.supervisor('app').children()[0]?.ref.send({ type: 'go' })
    await system.stop()
    expect(decisions).toEqual(['app/a stop by stopping'])
    await expect(system.done).resolves.toBeUndefined()
  })

  test('of a machine that fails on shutdown reports that failure, and goes on', async () => {
    const machine = createMachine({ on: { shutdown: { actions: () => raise('no') } } })
    const asked = vi.fn<() => typeof restart>(() => restart)
    const system = await start(supervisor('app', { catch: asked }, [actor('a', machine)]))
    const decisions = decisionsOf(system)
    await system.stop()
    expect(decisions).toEqual(['app/a stop by stopping'])
    expect(asked).not.toHaveBeenCalled()
  })

  test('asks nobody whose guard of shutdown throws', async () => {
    const machine = createMachine({ on: { shutdown: { guard: () => raise('no'), actions: () => {} } } })
    const system = await start(supervisor('app', [actor('a', machine)]))
    const callbacks: string[] = []
    system.on('callback.failed', ({ path, callback }) => callbacks.push(`${path} ${callback}`))
    const stops = stopsOf(system)
    await system.stop()
    expect(stops).toEqual(['app/a stopped', 'app stopped'])
    expect(callbacks).toEqual(['app/a guard of shutdown'])
  })
})

describe('a cleanup that throws', () => {
  test.each([
    ['of a callback', fromCallback(() => () => raise('cleanup'))],
    ['of a child of a machine', createMachine({ invoke: { src: fromCallback(() => () => raise('cleanup')) } })],
    [
      'of a grandchild',
      createMachine({
        invoke: { src: createMachine({ invoke: { src: fromCallback(() => () => raise('cleanup')) } }) },
      }),
    ],
  ])('%s is reported, and changes nothing else', async (_what, logic) => {
    const { life, lines } = lives()
    const system = await start(supervisor('app', [life('a'), actor('b', logic as AnyActorLogic)]))
    const failures = failuresOf(system)
    const stops = stopsOf(system)
    await system.stop()
    expect(failures.map(({ path, kind, error, trail }) => ({ path, kind, error, trail }))).toEqual([
      {
        path: 'app/b',
        kind: 'stop',
        error: 'cleanup',
        trail: [{ path: 'app', decision: 'stop', by: 'stopping' }],
      },
    ])
    expect(stops).toEqual(['app/b stopped', 'app/a stopped', 'app stopped'])
    expect(lines).toEqual(['+a', '-a'])
    await expect(system.done).resolves.toBeUndefined()
  })

  test('when a machine leaves a state does not kill the machine', async () => {
    const machine = createMachine({
      initial: 'on',
      states: { on: { invoke: { src: fromCallback(() => () => raise('cleanup')) }, on: { off: 'off' } }, off: {} },
    })
    const system = await start(supervisor('app', [actor('a', machine)]))
    const failures = failuresOf(system)
    const ref = system.supervisor('app').children()[0]?.ref
    ref?.send({ type: 'off' })
    await settle()
    expect(ref?.getSnapshot()).toMatchObject({ value: 'off', status: 'active' })
    expect(failures.map(({ kind, error }) => ({ kind, error }))).toEqual([{ kind: 'stop', error: 'cleanup' }])
    expect(listOf(system, 'app')).toBe('a running 1')
    await system.stop()
  })

  test('after a failure is reported beside it', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', [life('a', { onStop: () => raise('cleanup') })]))
    const failures = failuresOf(system)
    fail(system, 'app/a', 'first')
    await settle()
    expect(failures.map(({ kind, error }) => ({ kind, error }))).toEqual([
      { kind: 'stop', error: 'cleanup' },
      { kind: 'thrown', error: 'first' },
    ])
    expect(listOf(system, 'app')).toBe('a running 2')
    await system.stop()
  })
})

describe('system.stop', () => {
  test('always gives the same promise and never rejects', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', { restarts: { limit: 0 } }, [life('a')]), { catch: () => stop })
    fail(system, 'app/a', 1)
    const first = system.stop()
    expect(system.stop()).toBe(first)
    await expect(first).resolves.toBeUndefined()
    expect(system.stop()).toBe(first)
    await expect(system.done).rejects.toMatchObject({ error: 1 })
    expect(system.isStopped).toBe(true)
  })

  test('is what await using calls', async () => {
    const { lines, life } = lives()
    {
      await using system = await start(life('a'))
      expect(system.isStopped).toBe(false)
    }
    expect(lines).toEqual(['+a', '-a'])
  })

  test('leaves no listener of the process, no timer, no live actor behind', async () => {
    const { lines, life } = lives()
    const before = process.listenerCount('unhandledRejection') + process.listenerCount('uncaughtExceptionMonitor')
    const clock = manualClock()
    const live = new Set<string>()
    const system = await start(
      supervisor('app', [life('a'), supervisor('sup', [life('b', { ready: () => true }), task('t', () => 1)])]),
      {
        clock,
        inspect: (event) => {
          if (event.type === '@xstate.actor') live.add(event.actorRef.sessionId)
          if (event.type === '@xstate.snapshot' && (event.snapshot as { status: string }).status !== 'active') {
            live.delete(event.actorRef.sessionId)
          }
        },
      },
    )
    await system.spawn(life('x'))
    expect(process.listenerCount('unhandledRejection')).toBeGreaterThan(0)
    expect(live.size).toBeGreaterThan(5)
    await system.stop()
    expect(process.listenerCount('unhandledRejection') + process.listenerCount('uncaughtExceptionMonitor')).toBe(before)
    expect(clock.pending).toBe(0)
    expect([...live]).toEqual([])
    expect(lines.filter((line) => line.startsWith('+'))).toHaveLength(lines.filter((l) => l.startsWith('-')).length)
  })

  test('does not reject when the broker cannot be closed', async () => {
    const broker = Object.assign(memory(), { close: (): never => raise(new Error('disk')) })
    const system = await start(supervisor('app', []), { broker })
    const callbacks: string[] = []
    system.on('callback.failed', ({ callback }) => callbacks.push(callback))
    await system.stop()
    await system.done
    expect(callbacks).toEqual(['broker.close'])
  })

  test('tells by events: actors in order, then system.stopped with the failure that stopped it', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', [life('a'), life('b')]), { catch: () => stop })
    const events: string[] = []
    system.on('*', ({ type, ...data }) => events.push(`${type} ${'path' in data ? data.path : ''}`))
    let failure: Failure | undefined
    system.on('system.stopped', (event) => void (failure = event.failure))
    await system.stop()
    expect(events).toEqual(['actor.stopped app/b', 'actor.stopped app/a', 'actor.stopped app', 'system.stopped app'])
    expect(failure).toBeUndefined()
  })

  test('refuses what comes after it', async () => {
    const { life } = lives()
    const work = task('work', () => 1)
    const system = await start(supervisor('app', [work]))
    await system.stop()
    await expect(system.spawn(life('x'))).rejects.toBeInstanceOf(SystemStoppedError)
    expect(() => system.run(work)).toThrow(SystemStoppedError)
  })

  test('by a listener that hears of the restart of the root starts nothing any more', async () => {
    const { life, take } = lives()
    const root = supervisor('app', { restarts: { limit: 0 } }, [life('a')])
    const system = await start(root, { catch: () => restart })
    system.on('failure.decided', () => void system.stop())
    fail(system, 'app/a', 'no')
    await system.done
    await settle()
    expect(take()).toEqual(['+a', '-a'])
  })
})
