import { actor, restart, resume, start, stop, supervisor, task, type EventOf, type System } from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'
import { describe, expect, test } from 'vitest'
import { createMachine, fromCallback, fromPromise, sendTo, type AnyActorLogic } from 'xstate'
import { hostileValues } from '../support/hostile.ts'
import { childAt, decisionsOf, fail, failuresOf, isOpen, listOf, lives, raise, tell } from '../support/lives.ts'

function droppedOf(system: System): EventOf<'message.dropped'>[] {
  const dropped: EventOf<'message.dropped'>[] = []
  system.on('message.dropped', (event) => dropped.push(event))
  return dropped
}

describe('messages', () => {
  test('M1: events wait, their actor fails: each is message.dropped, the next incarnation sees none', async () => {
    const seen: string[] = []
    const machine = createMachine({
      on: {
        go: {
          actions: () => {
            for (const type of ['one', 'two', 'three']) ref().send({ type })
            raise('no')
          },
        },
        one: { actions: () => seen.push('one') },
        two: { actions: () => seen.push('two') },
      },
    })
    const system: System = await start(supervisor('app', [actor('a', machine)]))
    const ref = (): ReturnType<typeof childAt>['ref'] => childAt(system, 'app/a').ref
    const dropped = droppedOf(system)
    ref().send({ type: 'go' })
    await settle()
    expect(dropped).toMatchObject(
      ['one', 'two', 'three'].map((type) => ({ path: 'app/a', generation: 1, event: { type }, reason: 'failed' })),
    )
    expect(seen).toEqual([])
    expect(listOf(system, 'app')).toBe('a running 2')
    expect((await system.stats()).droppedMessages).toBe(3)
    await system.stop()
  })

  test('events that wait while a start fails are dropped, too', async () => {
    const machine = createMachine({
      initial: 'one',
      states: {
        one: {
          on: {
            go: { target: 'two', actions: () => childAt(system, 'app/a:1').ref.send({ type: 'late' }) },
          },
        },
        two: {},
      },
    })
    const ready = (snapshot: unknown): boolean => (snapshot as { value: string }).value === 'two' && raise('not ready')
    const system: System = await start(supervisor('app', []))
    const dropped = droppedOf(system)
    const starting = system.spawn(actor('a', machine, { ready }))
    starting.catch(() => {})
    childAt(system, 'app/a:1').ref.send({ type: 'go' })
    await expect(starting).rejects.toMatchObject({ kind: 'start', error: 'not ready' })
    expect(dropped).toMatchObject([{ path: 'app/a:1', event: { type: 'late' }, reason: 'failed' }])
    await system.stop()
  })

  test('events that wait are seen if the actor is resumed', async () => {
    const seen: string[] = []
    const machine = createMachine({
      on: {
        go: {
          actions: () => {
            for (const type of ['one', 'two']) childAt(system, 'app/a').ref.send({ type })
            raise('no')
          },
        },
        one: { actions: () => seen.push('one') },
        two: { actions: () => seen.push('two') },
      },
    })
    const system: System = await start(supervisor('app', { catch: () => resume }, [actor('a', machine)]))
    childAt(system, 'app/a').ref.send({ type: 'go' })
    expect(seen).toEqual(['one', 'two'])
    expect((await system.stats()).droppedMessages).toBe(0)
    await system.stop()
  })

  test('M2: a child of a failed machine had a systemId: the id is free for the next incarnation', async () => {
    const seen: string[] = []
    const part = (name: string, src: AnyActorLogic): AnyActorLogic =>
      createMachine({ invoke: { src, systemId: name, id: name } })
    const leaf = fromCallback(() => {
      seen.push('+leaf')
      return () => seen.push('-leaf')
    })
    const machine = createMachine({
      invoke: { src: part('inner', part('deep', leaf)), systemId: 'outer', id: 'outer' },
      on: { fail: { actions: () => raise(1) } },
    })
    const system = await start(supervisor('app', [actor('a', machine)]))
    const failures = failuresOf(system)
    for (let n = 0; n < 3; n += 1) {
      childAt(system, 'app/a').ref.send({ type: 'fail' })
      await settle()
    }
    expect(failures.map(({ kind, error }) => [kind, error])).toEqual([
      ['thrown', 1],
      ['thrown', 1],
      ['thrown', 1],
    ])
    expect(listOf(system, 'app')).toBe('a running 4')
    expect(seen).toEqual(['+leaf', '-leaf', '+leaf', '-leaf', '+leaf', '-leaf', '+leaf'])
    await system.stop()
  })

  test('M3: a machine sends to a name it has no child for: a failure of that machine alone', async () => {
    const { life } = lives()
    const machine = createMachine({ on: { go: { actions: sendTo('nobody', { type: 'hello' }) } } })
    const system = await start(supervisor('app', [life('b'), actor('a', machine), life('c')]))
    const failures = failuresOf(system)
    childAt(system, 'app/a').ref.send({ type: 'go' })
    await settle()
    expect(listOf(system, 'app')).toBe('b running 1, a running 2, c running 1')
    expect(failures).toMatchObject([{ path: 'app/a', kind: 'thrown' }])
    expect(String(failures[0]?.error)).toContain('Unable to send event to actor')
    await system.stop()
  })

  test('M4: a ref kept over a restart reaches the new incarnation', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', [life('a')]))
    const x = await system.spawn(life('x'))
    const { ref: a } = childAt(system, 'app/a')
    for (const ref of [a, x]) {
      ref.send({ type: 'count' })
      ref.send({ type: 'fail', error: 1 } as never)
      await settle()
      expect(ref.generation).toBe(2)
      expect(ref.getSnapshot()).toMatchObject({ context: { count: 0 } })
      ref.send({ type: 'count' })
      expect(ref.getSnapshot()).toMatchObject({ context: { count: 1 } })
    }
    expect([a.path, x.path]).toEqual(['app/a', 'app/x:1'])
    await system.stop()
  })

  test('a ref of a static child is kept over restarts of its supervisor, two levels up as well', async () => {
    const { life } = lives()
    const noRestarts = { restarts: { limit: 0 } }
    const system = await start(
      supervisor('app', [supervisor('sup', noRestarts, [supervisor('deep', noRestarts, [life('a')])])]),
    )
    const { ref } = childAt(system, 'app/sup/deep/a')
    const x = await system.spawn(life('x'), { under: 'app/sup/deep' })
    const dropped = droppedOf(system)
    ref.send({ type: 'fail', error: 1 } as never)
    await settle()
    expect(ref.generation).toBe(2)
    ref.send({ type: 'count' })
    expect(ref.getSnapshot()).toMatchObject({ context: { count: 1 } })
    x.send({ type: 'count' }) // dynamic children do not come back
    expect(dropped).toMatchObject([{ path: 'app/sup/deep/x:1', reason: 'stopped' }])
    await system.stop()
  })

  test('a ref of a dynamic child that is gone reaches nobody who has its name later', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', []))
    const x = await system.spawn(life('x'))
    const other = life('x:1')
    await expect(system.supervisor('app').startChild(other)).rejects.toThrow('app/x:1 is running')
    await system.supervisor('app').stopChild('x:1')
    await system.supervisor('app').startChild(other)
    const dropped = droppedOf(system)
    x.send({ type: 'count' })
    expect(dropped).toMatchObject([{ path: 'app/x:1', reason: 'stopped' }])
    expect(childAt(system, 'app/x:1').ref.getSnapshot()).toMatchObject({ context: { count: 0 } })
    await system.stop()
  })

  test.each([
    ['restarting', 'restarting'],
    ['stopped', 'stopped'],
    ['waiting for its turn to start', 'starting'],
  ] as const)('to a child that is %s are dropped, and told', async (state, reason) => {
    const { life } = lives()
    const clock = manualClock()
    const system = await start(supervisor('app', [life('a')]), { clock })
    const starting = system.supervisor('app').startChild(supervisor('sup', [life('a', { ready: isOpen }), life('b')]))
    starting.catch(() => {})
    await settle()
    const dropped = droppedOf(system)
    const path = state === 'waiting for its turn to start' ? 'app/sup/b' : 'app/a'
    if (state === 'restarting') fail(system, 'app/a')
    if (state === 'stopped') await system.supervisor('app').stopChild('a')
    const event = { type: 'hello' }
    childAt(system, path).ref.send(event)
    expect(dropped).toMatchObject([{ path, reason, event }])
    expect(dropped[0]?.event).toBe(event)
    expect((await system.stats()).droppedMessages).toBe(1)
    await system.stop()
  })

  test('to a child that starts wait until it is up', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', []))
    const starting = system.spawn(life('x', { ready: isOpen }))
    await settle()
    tell(system, 'app/x:1', { type: 'count' })
    tell(system, 'app/x:1', { type: 'open' })
    const ref = await starting
    expect(ref.getSnapshot()).toMatchObject({ context: { count: 1 } })
    await system.stop()
  })

  const noEvents: typeof hostileValues = [
    ['a word', () => 'count'],
    ['an object without type', () => ({})],
  ]
  test.each([...hostileValues, ...noEvents])('send(%s) never throws and harms nobody', async (_what, make) => {
    const { life } = lives()
    const system = await start(
      supervisor('app', [
        life('a'),
        supervisor('sup', []),
        actor(
          'p',
          fromPromise(() => new Promise(() => {})),
        ),
      ]),
    )
    const dropped = droppedOf(system)
    for (const { ref } of system.supervisor('app').children()) ref.send(make() as never)
    expect(dropped.map(({ reason }) => reason)).toEqual(['invalid', 'invalid', 'invalid'])
    expect(listOf(system, 'app')).toBe('a running 1, sup running 1, p running 1')
    await system.stop()
  })

  test('shutdown to a supervisor ends it; what its chart is told otherwise changes nothing', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', [supervisor('sup', { restart: 'transient' }, [life('a')])]))
    const { ref } = childAt(system, 'app/sup')
    for (const type of ['gave up', 'children.down', 'round.began', 'rounds.over', 'xstate.done.actor.a'])
      ref.send({ type })
    expect(ref.getSnapshot()).toMatchObject({ value: 'running' })
    ref.send({ type: 'shutdown' })
    await settle()
    expect(listOf(system, 'app')).toBe('sup stopped 1')
    expect(ref.getSnapshot()).toMatchObject({ value: 'stopped', status: 'done' })
    await system.stop()
  })

  test('shutdown to a task drains it', async () => {
    const work = task('work', { restart: 'transient' }, () => 1)
    const system = await start(supervisor('app', [work]))
    childAt(system, 'app/work').ref.send({ type: 'shutdown' })
    await settle()
    expect(listOf(system, 'app')).toBe('work stopped 1')
    await system.stop()
  })
})

describe('a late event of an older incarnation', () => {
  test('changes nothing: no end, no restart, no charge', async () => {
    const settles: { resolve: (value: unknown) => void; reject: (error: unknown) => void }[] = []
    const { life } = lives()
    const logic = fromPromise(() => new Promise((resolve, reject) => settles.push({ resolve, reject })))
    const options = { strategy: 'one-for-all', restarts: { limit: 2 } } as const
    const system = await start(supervisor('app', options, [actor('a', logic), life('b')]))
    const events: string[] = []
    fail(system, 'app/b')
    await settle()
    fail(system, 'app/b')
    await settle()
    system.on('*', ({ type }) => events.push(type))
    settles[0]?.resolve('late')
    settles[1]?.reject(new Error('late'))
    await settle()
    expect(events).toEqual([])
    expect(listOf(system, 'app')).toBe('a running 3, b running 3')
    await system.stop()
  })
})

describe('an actor that fails', () => {
  test('takes its own children along, newest first, before the failure is decided', async () => {
    const seen: string[] = []
    const part = (name: string): AnyActorLogic => fromCallback(() => () => seen.push(`-${name}`))
    const machine = createMachine({
      invoke: [
        { src: part('x'), id: 'x' },
        { src: part('10'), id: '10' },
        { src: part('y'), id: 'y' },
        { src: part('2'), id: '2' },
      ],
      on: { fail: { actions: () => raise(1) } },
    })
    const system = await start(supervisor('app', { catch: () => (seen.push('asked'), stop) }, [actor('a', machine)]))
    childAt(system, 'app/a').ref.send({ type: 'fail' })
    await settle()
    expect(seen.filter((line) => line !== 'asked')).toEqual(['-2', '-y', '-10', '-x'])
    await system.stop()
  })

  test('by an error it did not handle takes them along as well, newest first', async () => {
    const seen: string[] = []
    const part = (name: string): AnyActorLogic => fromCallback(() => () => seen.push(`-${name}`))
    const machine = createMachine({
      initial: 'on',
      invoke: [
        { src: part('x'), id: 'x' },
        { src: part('y'), id: 'y' },
      ],
      states: {
        on: { on: { go: 'off' } },
        off: { invoke: { src: fromPromise(() => Promise.reject(new Error('no'))) } },
      },
    })
    const system = await start(supervisor('app', { catch: () => (seen.push('asked'), stop) }, [actor('a', machine)]))
    childAt(system, 'app/a').ref.send({ type: 'go' })
    await settle()
    expect(seen).toEqual(['-y', '-x', 'asked'])
    await system.stop()
  })

  test('and is a callback is disposed of: what it began ends', async () => {
    const seen: string[] = []
    const logic = fromCallback(({ receive }) => {
      receive(() => raise('no'))
      return () => seen.push('disposed')
    })
    const system = await start(supervisor('app', { catch: () => restart }, [actor('a', logic)]))
    childAt(system, 'app/a').ref.send({ type: 'go' })
    await settle()
    expect(seen).toEqual(['disposed'])
    expect(listOf(system, 'app')).toBe('a running 2')
    await system.stop()
    expect(seen).toEqual(['disposed', 'disposed'])
  })

  test('inside a machine that handles it leaves no orphans either', async () => {
    const seen: string[] = []
    const leaf = fromCallback(() => () => seen.push('-leaf'))
    const inner = createMachine({ invoke: { src: leaf }, on: { fail: { actions: () => raise('inner') } } })
    const machine = createMachine({
      initial: 'on',
      states: { on: { invoke: { src: inner, id: 'inner', onError: 'off' } }, off: {} },
      on: { go: { actions: sendTo('inner', { type: 'fail' }) } },
    })
    const system = await start(supervisor('app', [actor('a', machine)]))
    const decisions = decisionsOf(system)
    const { ref } = childAt(system, 'app/a')
    ref.send({ type: 'go' })
    await settle()
    expect(ref.getSnapshot()).toMatchObject({ value: 'off' })
    expect(seen).toEqual(['-leaf'])
    expect(decisions).toEqual([])
    await system.stop()
  })
})

describe('children()', () => {
  test('lists in start order, dynamic last, whatever the names look like', async () => {
    const { life } = lives()
    const system = await start(
      supervisor(
        'app',
        ['10', '2', 'b', '1'].map((name) => life(name)),
      ),
    )
    await system.spawn(life('0'))
    await system.supervisor('app').startChild(life('3'))
    expect(
      system
        .supervisor('app')
        .children()
        .map(({ name }) => name),
    ).toEqual(['10', '2', 'b', '1', '3', '0:1'])
    await system.stop()
  })
})
