import {
  actor,
  escalate,
  exponential,
  restart,
  RestartLimitError,
  resume,
  start,
  stop,
  supervisor,
  type Actor,
  type Failure,
  type RootDecision,
  type Strategy,
  type System,
  type SupervisorOptions,
} from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'
import { describe, expect, test, vi } from 'vitest'
import { createMachine, fromTransition } from 'xstate'
import { decisionsOf, fail, failuresOf, isOpen, listOf, lives, raise, tell } from '../support/lives.ts'

const strategies = ['one-for-one', 'one-for-all', 'rest-for-one'] as const satisfies readonly Strategy[]

/** Children that throw when they are told to. */
const fragile = (count: number): readonly Actor[] => {
  const logic = fromTransition((state: object, { type }: { readonly type: string }) => {
    return type === 'fail' ? raise(new Error('no')) : state
  }, {})
  return Array.from({ length: count }, (_, n) => actor(`child-${n}`, logic))
}

describe('a storm', () => {
  test.each(strategies)('%s: 2 000 children that fail in one turn come back, each started once', async (strategy) => {
    const COUNT = 2_000
    const restarts = { limit: COUNT, within: '1h' } as const
    await using system = await start(supervisor('app', { strategy, restarts }, fragile(COUNT)))
    const counted = { started: 0, stopped: 0, decided: 0, rounds: 0 }
    system.on('actor.started', () => (counted.started += 1))
    system.on('actor.stopped', () => (counted.stopped += 1))
    system.on('failure.decided', () => (counted.decided += 1))
    system.on('supervisor.restarting', () => (counted.rounds += 1))
    const children = system.supervisor('app').children()
    for (const { ref } of children) ref.send({ type: 'fail' })
    expect(system.supervisor('app').count()).toMatchObject({ running: 0, restarting: COUNT })
    await expect.poll(() => system.supervisor('app').count().running).toBe(COUNT)
    const alone = { started: COUNT, stopped: 0, decided: COUNT, rounds: COUNT }
    const together = { started: COUNT, stopped: COUNT - 1, decided: 1, rounds: 1 } // what is stopped takes no message
    expect(counted).toEqual(strategy === 'one-for-one' ? alone : together)
    expect(children.every(({ ref }) => ref.generation === 2)).toBe(true)
  })

  test('of more failures than the limit stops each child once, and leaves none', async () => {
    const COUNT = 2_000
    const restarts = { limit: COUNT / 2, within: '1h' } as const
    const system = await start(supervisor('app', { restarts }, fragile(COUNT)), { catch: () => stop })
    const counted = { started: 0, stopped: 0 }
    system.on('actor.started', () => (counted.started += 1))
    system.on('actor.stopped', ({ path }) => (counted.stopped += path === 'app' ? 0 : 1))
    for (const { ref } of system.supervisor('app').children()) ref.send({ type: 'fail' })
    await expect(system.done).rejects.toMatchObject({ path: `app/child-${COUNT / 2}` })
    expect(counted).toEqual({ started: 0, stopped: COUNT / 2 - 1 }) // the others were down, and are not started again
  })
})

describe('a strategy', () => {
  test.each([
    ['one-for-one', 'a', ['-a', '+a']],
    ['one-for-one', 'b', ['-b', '+b']],
    ['one-for-one', 'c', ['-c', '+c']],
    ['one-for-all', 'a', ['-a', '-c', '-b', '+a', '+b', '+c']],
    ['one-for-all', 'b', ['-b', '-c', '-a', '+a', '+b', '+c']],
    ['one-for-all', 'c', ['-c', '-b', '-a', '+a', '+b', '+c']],
    ['rest-for-one', 'a', ['-a', '-c', '-b', '+a', '+b', '+c']],
    ['rest-for-one', 'b', ['-b', '-c', '+b', '+c']],
    ['rest-for-one', 'c', ['-c', '+c']],
  ] as const)('%s: after a failure of %s', async (strategy, failing, expected) => {
    const { take, life } = lives()
    const system = await start(
      supervisor(
        'app',
        { strategy, restarts: { limit: 1 } },
        ['a', 'b', 'c'].map((n) => life(n)),
      ),
    )
    take()
    fail(system, `app/${failing}`)
    await settle()
    expect(take()).toEqual(expected)
    await system.stop()
  })

  test('R1: one-for-one: a fails: a is new, b is the same incarnation', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', [life('a'), life('b')]))
    fail(system, 'app/a')
    await settle()
    expect(listOf(system, 'app')).toBe('a running 2, b running 1')
    await system.stop()
  })

  test('R2: limit 2: three failures within the window: the supervisor fails', async () => {
    const { life } = lives()
    const clock = manualClock()
    const system = await start(supervisor('app', { restarts: { limit: 2, within: '5s' } }, [life('a')]), {
      catch: () => stop,
      clock,
    })
    const failures = failuresOf(system)
    fail(system, 'app/a', 1)
    await clock.advance('4s')
    fail(system, 'app/a', 2)
    await clock.advance('1s')
    expect(listOf(system, 'app')).toBe('a running 3')
    fail(system, 'app/a', 3) // the first was exactly 5s ago and still counts
    await expect(system.done).rejects.toMatchObject({ error: 3, path: 'app/a' })
    expect(failures.map(({ error }) => error)).toEqual([1, 2, 3])
    expect(failures[2]?.trail).toEqual([
      { path: 'app', decision: 'escalate', by: 'limit', asked: 'restart', because: expect.any(RestartLimitError) },
      { path: '', decision: 'stop', by: 'catch' },
    ])
    expect(String(failures[2]?.trail[0]?.because)).toContain('app needed a 3rd restart within 5s, restarts.limit is 2.')
  })

  test('R3: one-for-all: a fails: all are new, stopped in reverse, one charge', async () => {
    const { take, life } = lives()
    const options = { strategy: 'one-for-all', restarts: { limit: 2 } } as const
    const system = await start(
      supervisor(
        'app',
        options,
        ['a', 'b', 'c'].map((n) => life(n)),
      ),
    )
    for (const failing of ['a', 'b']) {
      fail(system, `app/${failing}`)
      await settle()
    }
    expect(listOf(system, 'app')).toBe('a running 3, b running 3, c running 3')
    expect(take().slice(3, 9)).toEqual(['-a', '-c', '-b', '+a', '+b', '+c'])
    await system.stop()
  })

  test('R4: rest-for-one a b t d, t temporary: b fails: d, t stop, b, d start, a is the same', async () => {
    const { take, life } = lives()
    const children = [life('a'), life('b'), life('t', { restart: 'temporary' }), life('d')]
    const system = await start(supervisor('app', { strategy: 'rest-for-one' }, children))
    take()
    fail(system, 'app/b')
    await settle()
    expect(take()).toEqual(['-b', '-d', '-t', '+b', '+d'])
    expect(listOf(system, 'app')).toBe('a running 1, b running 2, d running 2')
    await system.stop()
  })

  test.each(strategies)('R5: %s: a dynamic child that fails is back, its siblings are the same', async (strategy) => {
    const { life } = lives()
    const system = await start(supervisor('app', { strategy }, [life('a')]))
    await system.spawn(life('x'))
    await system.spawn(life('x'))
    fail(system, 'app/x:1')
    await settle()
    expect(listOf(system, 'app')).toBe('a running 1, x:1 running 2, x:2 running 1')
    await system.stop()
  })

  test.each([
    ['one-for-one', ['-a', '+a']],
    ['one-for-all', ['-a', '-x', '-y', '-b', '+a', '+b', '+x', '+y']],
    ['rest-for-one', ['-a', '-x', '-y', '-b', '+a', '+b', '+x', '+y']],
  ] as const)('%s: dynamic children stop first and come last', async (strategy, expected) => {
    const { take, life } = lives()
    const system = await start(supervisor('app', { strategy }, [life('a'), life('b')]))
    await system.spawn(life('x'))
    await system.spawn(life('y'))
    take()
    fail(system, 'app/a')
    await settle()
    expect(take()).toEqual(expected)
    await system.stop()
  })

  test('the failure of a dynamic child is charged to its supervisor', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', { restarts: { limit: 2 } }, [life('a')]), { catch: () => stop })
    await system.spawn(life('x'))
    await system.spawn(life('y'))
    fail(system, 'app/x:1')
    fail(system, 'app/y:1')
    await settle()
    expect(listOf(system, 'app')).toBe('a running 1, x:1 running 2, y:1 running 2')
    fail(system, 'app/a', 3)
    await expect(system.done).rejects.toMatchObject({ error: 3 })
  })
})

describe('the restart limit', () => {
  test('R6: limit 1 within 1s, a failure each 2.1s: never gives up', async () => {
    const { life } = lives()
    const clock = manualClock()
    const system = await start(supervisor('app', { restarts: { limit: 1, within: '1s' } }, [life('a')]), { clock })
    for (let n = 0; n < 50; n += 1) {
      fail(system, 'app/a')
      await clock.advance(2_100)
    }
    expect(listOf(system, 'app')).toBe('a running 51')
    await system.stop()
  })

  test('of 0 never restarts', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', { restarts: { limit: 0 } }, [life('a')]), { catch: () => stop })
    fail(system, 'app/a', 1)
    await expect(system.done).rejects.toMatchObject({ error: 1 })
  })

  test('R7: limit spent: the children stop in reverse before the parent is asked', async () => {
    const { take, lines, life } = lives()
    const seen: string[][] = []
    const sup = supervisor('sup', { restarts: { limit: 0 } }, [life('a'), life('b'), life('c')])
    const system = await start(supervisor('app', { catch: () => (seen.push([...lines]), stop) }, [life('z'), sup]))
    take()
    fail(system, 'app/sup/b')
    await settle()
    expect(seen).toEqual([['-b', '-c', '-a']])
    expect(listOf(system, 'app')).toBe('z running 1, sup stopped 1')
    await system.stop()
  })

  test('R8: worker in sup in root, limits spent: root catch once, the original error, three entries', async () => {
    const { life } = lives()
    const asked = vi.fn<() => RootDecision>(() => stop)
    const limit = { restarts: { limit: 0 } } as const
    const system = await start(supervisor('app', limit, [supervisor('sup', limit, [life('a')])]), { catch: asked })
    const decisions = decisionsOf(system)
    const error = new Error('a')
    fail(system, 'app/sup/a', error)
    const failure = await system.done.catch((thrown: Failure) => thrown)
    expect(failure).toMatchObject({ error, path: 'app/sup/a', kind: 'thrown' })
    expect((failure as Failure).trail).toEqual([
      { path: 'app/sup', decision: 'escalate', by: 'limit', asked: 'restart', because: expect.any(RestartLimitError) },
      { path: 'app', decision: 'escalate', by: 'limit', asked: 'restart', because: expect.any(RestartLimitError) },
      { path: '', decision: 'stop', by: 'catch' },
    ])
    expect(asked).toHaveBeenCalledTimes(1)
    expect(decisions).toEqual(['app/sup/a stop by catch'])
  })

  test('spent by children that ended normally is a failure of kind restarts', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', { restarts: { limit: 1 } }, [life('a')]), { catch: () => stop })
    tell(system, 'app/a', { type: 'end' })
    await settle()
    tell(system, 'app/a', { type: 'end' })
    const failure = await system.done.catch((thrown: Failure) => thrown)
    expect(failure).toMatchObject({ kind: 'restarts', path: 'app/a', error: expect.any(RestartLimitError) })
    expect((failure as Failure).trail[0]).toEqual({
      path: 'app',
      decision: 'escalate',
      by: 'limit',
      asked: 'restart',
      because: (failure as Failure).error,
    })
  })

  test('is not charged by siblings, admin calls, awaited starts, resume, or anything while stopping', async () => {
    const { life } = lives()
    const options: SupervisorOptions = {
      strategy: 'one-for-all',
      restarts: { limit: 2 },
      catch: ({ error }) => (error === 'go on' ? resume : restart),
    }
    const system = await start(
      supervisor(
        'app',
        options,
        ['a', 'b', 'c', 'd'].map((n) => life(n)),
      ),
    )
    const admin = system.supervisor('app')
    fail(system, 'app/a') // one charge for four
    await settle()
    for (let n = 0; n < 5; n += 1) {
      await admin.stopChild('b')
      await admin.restartChild('b')
      fail(system, 'app/c', 'go on')
      await expect(system.spawn(life('x', { onStart: () => raise(1) }))).rejects.toMatchObject({ kind: 'start' })
    }
    fail(system, 'app/a')
    await settle()
    expect(listOf(system, 'app')).toBe('a running 3, b running 8, c running 3, d running 3')
    await system.stop()
  })
})

describe('a round', () => {
  test('R9: still starting c: fresh a fails: decided and charged again, never two of a', async () => {
    const { take, life } = lives()
    const options = { strategy: 'one-for-all', restarts: { limit: 2 } } as const
    const slow = life('c', { ready: isOpen })
    const system: System = await start(supervisor('app', []))
    const starting = system.supervisor('app').startChild(supervisor('sup', options, [life('a'), life('b'), slow]))
    await settle()
    tell(system, 'app/sup/c', { type: 'open' })
    await starting
    const decisions = decisionsOf(system)
    take()
    fail(system, 'app/sup/b')
    await settle()
    expect(listOf(system, 'app/sup')).toBe('a running 2, b running 2, c starting 2')
    fail(system, 'app/sup/a')
    await settle()
    expect(listOf(system, 'app/sup')).toBe('a running 3, b running 3, c starting 3')
    tell(system, 'app/sup/c', { type: 'open' })
    await settle()
    expect(listOf(system, 'app/sup')).toBe('a running 3, b running 3, c running 3')
    expect(take()).toEqual(['-b', '-c', '-a', '+a', '+b', '+c', '-a', '-c', '-b', '+a', '+b', '+c'])
    expect(decisions).toEqual(['app/sup/b restart by restart type', 'app/sup/a restart by restart type'])
    fail(system, 'app/sup/a') // the limit is spent: the supervisor fails, and app restarts it
    await settle()
    expect(listOf(system, 'app')).toBe('sup starting 2')
    await system.stop()
  })

  test('rest-for-one goes on from the one that failed again; those before it are not started twice', async () => {
    const { take, life } = lives()
    const onStart = (n: number): void => void (n === 2 && raise(new Error('c')))
    const children = [life('a'), life('b'), life('c', { onStart }), life('d')]
    const system = await start(supervisor('app', { strategy: 'rest-for-one' }, children))
    take()
    fail(system, 'app/b')
    await settle()
    expect(take()).toEqual(['-b', '-d', '-c', '+b', '+c', '+d'])
    expect(listOf(system, 'app')).toBe('a running 1, b running 2, c running 3, d running 2')
    await system.stop()
  })

  test('one-for-all stops what is fresh and retries the whole set', async () => {
    const { take, life } = lives()
    const onStart = (n: number): void => void (n === 2 && raise(new Error('c')))
    const children = [life('a'), life('b'), life('c', { onStart }), life('d')]
    const system = await start(supervisor('app', { strategy: 'one-for-all' }, children))
    take()
    fail(system, 'app/b')
    await settle()
    expect(take()).toEqual(['-b', '-d', '-c', '-a', '+a', '+b', '-b', '-a', '+a', '+b', '+c', '+d'])
    expect(listOf(system, 'app')).toBe('a running 3, b running 3, c running 3, d running 2')
    await system.stop()
  })

  test('does the rest of the round that it takes the place of, and waits no less than that', async () => {
    const { life, take } = lives()
    const clock = manualClock()
    const options = {
      strategy: 'rest-for-one',
      backoff: exponential({ from: '1s', to: '1m', jitter: 0 }),
      restarts: { limit: 9 },
    } as const
    const system = await start(supervisor('app', options, [life('a'), life('b'), life('c')]), { clock })
    const rounds: unknown[] = []
    system.on('supervisor.restarting', ({ children, delay }) => rounds.push([children.join(), delay]))
    const admin = system.supervisor('app')
    for (const wait of [1_000, 2_000, 4_000]) {
      fail(system, 'app/a')
      await clock.advance(wait)
    }
    await admin.stopChild('c')
    take()
    fail(system, 'app/a')
    await clock.advance('2s')
    await admin.restartChild('c') // beside the round, which waits
    fail(system, 'app/c')
    expect(rounds.slice(3)).toEqual([
      ['a,b', 8_000],
      ['a,b,c', 6_000],
    ])
    await clock.advance('6s')
    expect(take()).toEqual(['-a', '-b', '+c', '-c', '+a', '+b', '+c'])
    expect(system.tree().state).toBe('running')
    await system.stop()
    expect(clock.pending).toBe(0)
  })

  test('is told by an event: who, and after which wait', async () => {
    const { life } = lives()
    const clock = manualClock()
    const backoff = exponential({ from: '1s', to: '1s', jitter: 0 })
    const system = await start(
      supervisor('app', { strategy: 'rest-for-one', backoff }, [life('a'), life('b'), life('c')]),
      { clock },
    )
    const seen: unknown[] = []
    system.on('supervisor.restarting', ({ path, children, delay }) => seen.push({ path, children, delay }))
    fail(system, 'app/b')
    expect(seen).toEqual([{ path: 'app', children: ['b', 'c'], delay: 1_000 }])
    expect(system.tree()).toMatchObject({ status: 'restarting', state: 'restarting' })
    expect((await system.stats()).restarts).toBe(1)
    await clock.advance('1s')
    expect(system.tree()).toMatchObject({ status: 'running' })
    await system.stop()
  })

  test('leaves children outside of it alone, and other one-for-one rounds run beside it', async () => {
    const { life } = lives()
    const clock = manualClock()
    const backoff = exponential({ from: '10s', to: '10s', jitter: 0 })
    const system = await start(supervisor('app', { backoff }, [life('a'), life('b'), life('c')]), { clock })
    fail(system, 'app/a')
    await clock.advance('4s')
    fail(system, 'app/b')
    tell(system, 'app/c', { type: 'count' })
    expect(listOf(system, 'app')).toBe('a restarting 1, b restarting 1, c running 1')
    expect(system.supervisor('app').count()).toMatchObject({ running: 1, restarting: 2 })
    await clock.advance('6s')
    expect(listOf(system, 'app')).toBe('a running 2, b restarting 1, c running 1')
    expect(system.tree().state).toBe('restarting')
    await clock.advance('4s')
    expect(listOf(system, 'app')).toBe('a running 2, b running 2, c running 1')
    expect(system.tree().state).toBe('running')
    await system.stop()
    expect(clock.pending).toBe(0)
  })

  test('a sibling that fails before the round stopped it is reported by round, without a charge', async () => {
    const { life } = lives()
    const clock = manualClock()
    const slow = actor('z', createMachine({ on: { shutdown: { actions: () => {} } } }), { shutdown: '1s' })
    const asked: string[] = []
    const options: SupervisorOptions = {
      strategy: 'one-for-all',
      restarts: { limit: 1 },
      catch: ({ path }) => (asked.push(path), restart),
    }
    const children = [
      life('a'),
      life('b'),
      life('t', { restart: 'temporary' }),
      life('e', { restart: 'transient' }),
      slow,
    ]
    const system = await start(supervisor('app', options, children), { clock })
    const failures = failuresOf(system)
    fail(system, 'app/a')
    fail(system, 'app/b')
    fail(system, 'app/t')
    tell(system, 'app/e', { type: 'end' })
    await settle()
    expect(listOf(system, 'app')).toBe('a restarting 1, b restarting 1, e stopped 1, z stopping 1')
    await clock.advance('1s')
    expect(listOf(system, 'app')).toBe('a running 2, b running 2, e stopped 1, z running 2')
    expect(asked).toEqual(['app/a'])
    expect(failures.map(({ path, trail }) => [path, ...trail])).toEqual([
      ['app/a', { path: 'app', decision: 'restart', by: 'catch' }],
      ['app/b', { path: 'app', decision: 'restart', by: 'round' }],
      ['app/t', { path: 'app', decision: 'stop', by: 'round' }],
    ])
    await clock.advance('1s')
    const stopped = system.stop()
    await clock.advance('1s')
    await stopped
    expect(clock.pending).toBe(0)
  })

  test('a dynamic child that fails again while a round starts others has a round of its own', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', { strategy: 'one-for-all', restarts: { limit: 5 } }, [life('a')]))
    await system.spawn(life('x'))
    const opening = system.spawn(life('y', { ready: isOpen }))
    await settle()
    tell(system, 'app/y:1', { type: 'open' })
    await opening
    await system.spawn(life('z'))
    fail(system, 'app/a')
    await settle()
    expect(listOf(system, 'app')).toBe('a running 2, x:1 running 2, y:1 starting 2, z:1 restarting 1')
    fail(system, 'app/x:1')
    await settle()
    expect(listOf(system, 'app')).toBe('a running 2, x:1 running 3, y:1 starting 2, z:1 restarting 1')
    tell(system, 'app/y:1', { type: 'open' })
    await settle()
    expect(listOf(system, 'app')).toBe('a running 2, x:1 running 3, y:1 running 2, z:1 running 2')
    expect(system.tree().state).toBe('running')
    await system.stop()
  })

  test('goes on with the next when the one it starts is stopped by hand', async () => {
    const { life } = lives()
    const clock = manualClock()
    const system: System = await start(supervisor('app', []), { clock })
    const sup = supervisor('sup', { strategy: 'one-for-all' }, [life('a'), life('b', { ready: isOpen }), life('c')])
    const starting = system.supervisor('app').startChild(sup)
    await settle()
    tell(system, 'app/sup/b', { type: 'open' })
    await starting
    fail(system, 'app/sup/c')
    await settle()
    expect(listOf(system, 'app/sup')).toBe('a running 2, b starting 2, c restarting 1')
    await system.supervisor('app/sup').stopChild('b')
    await settle()
    expect(listOf(system, 'app/sup')).toBe('a running 2, b stopped 2, c running 2')
    expect(system.tree().children?.[0]?.state).toBe('running')
    await system.stop()
    expect(clock.pending).toBe(0)
  })

  test('a child that ends during the round does not make it start the next one too early', async () => {
    const { life, lines } = lives()
    const system: System = await start(supervisor('app', []))
    const children = [life('a', { restart: 'transient' }), life('b', { ready: isOpen }), life('c')]
    const starting = system.supervisor('app').startChild(supervisor('sup', { strategy: 'one-for-all' }, children))
    await settle()
    tell(system, 'app/sup/b', { type: 'open' })
    await starting
    fail(system, 'app/sup/c')
    await settle()
    lines.length = 0
    tell(system, 'app/sup/a', { type: 'end' })
    await settle()
    expect(listOf(system, 'app/sup')).toBe('a stopped 2, b starting 2, c restarting 1')
    tell(system, 'app/sup/b', { type: 'open' })
    await settle()
    expect(listOf(system, 'app/sup')).toBe('a stopped 2, b running 2, c running 2')
    await system.stop()
  })

  test('R10: in a failing restart loop children() and stop() are answered at once; nothing starts later', async () => {
    const { lines, life } = lives()
    let turns = 0
    const onStart = (n: number): void => void (n > 1 && raise(new Error(`start ${n}`)))
    const options = { restarts: { limit: 1_000_000, within: '1d' } } as const
    const system = await start(supervisor('app', options, [life('a', { onStart }), life('b')]))
    fail(system, 'app/a')
    const turn = (): void => {
      turns += 1
      if (turns < 10) setTimeout(turn, 0)
    }
    setTimeout(turn, 0)
    await expect.poll(() => turns).toBe(10) // timers have their turn
    const { generation } = system.supervisor('app').children()[0] ?? raise(new Error('no a'))
    expect(generation).toBeGreaterThan(3)
    await system.supervisor('app').stopChild('b')
    await system.stop()
    const starts = system.supervisor('app').children()[0]?.generation
    await settle()
    expect(system.supervisor('app').children()[0]).toMatchObject({ status: 'stopped', generation: starts })
    expect(lines.filter((line) => line === '+a')).toHaveLength(1)
  })

  test('R10: stopChild ends a failing restart loop', async () => {
    const { life } = lives()
    const onStart = (n: number): void => void (n > 1 && raise(new Error(`start ${n}`)))
    const system = await start(supervisor('app', { restarts: { limit: 1_000_000 } }, [life('a', { onStart })]))
    fail(system, 'app/a')
    await settle()
    await system.supervisor('app').stopChild('a')
    const before = listOf(system, 'app')
    await settle()
    expect(listOf(system, 'app')).toBe(before)
    expect(before).toMatch(/^a stopped \d+$/)
    expect(system.tree().state).toBe('running')
    await system.stop()
  })
})

describe('a supervisor that is restarted', () => {
  test('R11: has its static children back; c, added by startChild, and dynamic ones are gone', async () => {
    const { life } = lives()
    const sup = supervisor('sup', { catch: () => escalate }, [life('a'), supervisor('deep', [life('b')])])
    const system = await start(supervisor('app', [sup]))
    const admin = system.supervisor('app/sup')
    await admin.startChild(life('c'))
    await admin.startChild(supervisor('added', [life('e')]))
    await system.spawn(life('x'), { under: 'app/sup' })
    await system.spawn(life('y'), { under: 'app/sup/deep' })
    fail(system, 'app/sup/c')
    await settle()
    expect(listOf(system, 'app')).toBe('sup running 2')
    expect(listOf(system, 'app/sup')).toBe('a running 2, deep running 2')
    expect(listOf(system, 'app/sup/deep')).toBe('b running 2')
    expect(() => system.supervisor('app/sup/added')).toThrow('there is no supervisor at "app/sup/added"')
    await system.stop()
  })

  test('stops completely before it starts again', async () => {
    const { take, life } = lives()
    const sup = supervisor('sup', { restarts: { limit: 0 } }, [life('a'), life('b')])
    const system = await start(supervisor('app', [sup, life('c')]))
    take()
    fail(system, 'app/sup/a')
    await settle()
    expect(take()).toEqual(['-a', '-b', '+a', '+b'])
    await system.stop()
  })

  test('that does not start again is a new failure of its parent, with the path of the child', async () => {
    const { life } = lives()
    const onStart = (n: number): void => void (n === 2 && raise('second'))
    const sup = supervisor('sup', { restarts: { limit: 0 } }, [life('a'), life('b', { onStart })])
    const system = await start(supervisor('app', { restarts: { limit: 2 } }, [sup]))
    const failures = failuresOf(system)
    fail(system, 'app/sup/a', 'first')
    await settle()
    expect(failures.map(({ path, kind, error }) => ({ path, kind, error }))).toEqual([
      { path: 'app/sup/a', kind: 'thrown', error: 'first' },
      { path: 'app/sup/b', kind: 'start', error: 'second' },
    ])
    expect(failures[1]?.trail).toEqual([{ path: 'app', decision: 'restart', by: 'restart type' }])
    expect(listOf(system, 'app')).toBe('sup running 3')
    await system.stop()
  })
})
