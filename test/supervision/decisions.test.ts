import {
  actor,
  escalate,
  Failure,
  InvalidDecisionError,
  restart,
  RestartLimitError,
  resume,
  start,
  stop,
  supervisor,
  task,
  type Decision,
  type RootDecision,
  type System,
} from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { assign, createMachine, fromCallback, fromPromise, sendTo, setup, spawnChild, type AnyActorLogic } from 'xstate'
import { hostileValues } from '../support/hostile.ts'
import { childAt, decisionsOf, fail, failuresOf, listOf, lives, raise, tell } from '../support/lives.ts'

afterEach(() => void vi.restoreAllMocks())

const noRestarts = { restarts: { limit: 0 } } as const

/** A machine that fails when told to, in four ways, and one that does not start. */
const kinds = {
  'threw on an event': createMachine({ on: { go: { actions: () => raise('no') } } }),
  'was rejected': createMachine({
    initial: 'on',
    states: { on: { on: { go: 'off' } }, off: { invoke: { src: fromPromise(() => Promise.reject('no')) } } },
  }),
} as const satisfies Record<string, AnyActorLogic>

describe('a decision about an actor that', () => {
  test.each([
    ['threw on an event', 'resume', resume, 'a running 1, b running 1', 'resume'],
    ['threw on an event', 'resume(value)', resume(7), 'a stopped 1, b running 1', 'resume'],
    ['threw on an event', 'restart', restart, 'a running 2, b running 1', 'restart'],
    ['threw on an event', 'stop', stop, 'a stopped 1, b running 1', 'stop'],
    ['was rejected', 'resume', resume, 'a stopped 1, b running 1', 'stop'],
    ['was rejected', 'resume(value)', resume(7), 'a stopped 1, b running 1', 'resume'],
    ['was rejected', 'restart', restart, 'a running 2, b running 1', 'restart'],
    ['was rejected', 'stop', stop, 'a stopped 1, b running 1', 'stop'],
  ] as const)('%s: %s', async (kind, name, decision, list, done) => {
    const { life } = lives()
    const children = [actor('a', kinds[kind], { restart: 'transient' }), life('b')]
    const system = await start(supervisor('app', { catch: () => decision }, children))
    const failures = failuresOf(system)
    const ended: unknown[] = []
    system.on('actor.ended', ({ path, output }) => ended.push([path, output]))
    childAt(system, 'app/a').ref.send({ type: 'go' })
    await settle()
    expect(listOf(system, 'app')).toBe(list)
    const asked = done === decision.decision ? {} : { asked: decision.decision }
    expect(failures.map(({ trail }) => trail)).toEqual([[{ path: 'app', decision: done, by: 'catch', ...asked }]])
    expect(ended).toEqual(name === 'resume(value)' ? [['app/a', 7]] : [])
    await system.stop()
  })

  test.each([
    ['resume', resume, 'a stopped 2', { decision: 'stop', asked: 'resume' }],
    ['resume(value)', resume(7), 'a stopped 2', { decision: 'resume' }],
    ['restart', restart, 'a running 3', { decision: 'restart' }],
    ['stop', stop, 'a stopped 2', { decision: 'stop' }],
  ] as const)('did not start again: %s', async (_name, decision, list, entry) => {
    const { life } = lives()
    const a = life('a', { restart: 'transient', onStart: (n) => void (n === 2 && raise('second')) })
    const decide = ({ kind }: Failure): Decision => (kind === 'start' ? decision : restart)
    const system = await start(supervisor('app', { catch: decide }, [a]))
    const failures = failuresOf(system)
    fail(system, 'app/a')
    await settle()
    expect(listOf(system, 'app')).toBe(list)
    expect(failures[1]?.trail).toEqual([{ path: 'app', by: 'catch', ...entry }])
    await system.stop()
  })

  test.each([
    ['resume', resume, 'sup stopped 1, b running 1', { decision: 'stop', asked: 'resume' }],
    ['resume(value)', resume(7), 'sup stopped 1, b running 1', { decision: 'resume' }],
    ['restart', restart, 'sup running 2, b running 1', { decision: 'restart' }],
    ['stop', stop, 'sup stopped 1, b running 1', { decision: 'stop' }],
  ] as const)('is a supervisor that failed: %s', async (_name, decision, list, entry) => {
    const { life } = lives()
    const sup = supervisor('sup', { catch: () => escalate, restart: 'transient' }, [life('a')])
    const system = await start(supervisor('app', { catch: () => decision }, [sup, life('b')]))
    const failures = failuresOf(system)
    fail(system, 'app/sup/a')
    await settle()
    expect(listOf(system, 'app')).toBe(list)
    expect(failures).toHaveLength(1)
    expect(failures[0]?.trail).toEqual([
      { path: 'app/sup', decision: 'escalate', by: 'catch' },
      { path: 'app', by: 'catch', ...entry },
    ])
    await system.stop()
  })

  test('escalates: the supervisor fails, and the parent is shown the same failure', async () => {
    const { life } = lives()
    const shown: Failure[] = []
    const sup = supervisor('sup', { catch: (failure) => (shown.push(failure), escalate) }, [life('a')])
    const system = await start(supervisor('app', { catch: (failure) => (shown.push(failure), stop) }, [sup]))
    fail(system, 'app/sup/a', 'no')
    await settle()
    expect(shown).toHaveLength(2)
    expect(shown[0]).toBe(shown[1])
    expect(shown[0]).toMatchObject({ path: 'app/sup/a', error: 'no', kind: 'thrown' })
    await system.stop()
  })
})

describe('a decision', () => {
  test('D1: no catch: the type decides, reported once, by: restart type', async () => {
    const { life } = lives()
    const children = [life('a'), life('b', { restart: 'transient' }), life('c', { restart: 'temporary' })]
    const system = await start(supervisor('app', children))
    const decisions = decisionsOf(system)
    for (const name of ['a', 'b', 'c']) fail(system, `app/${name}`)
    await settle()
    expect(decisions).toEqual([
      'app/a restart by restart type',
      'app/b restart by restart type',
      'app/c stop by restart type',
    ])
    expect(system.failures()).toHaveLength(3)
    expect(system.failures()[2]?.trail).toEqual([{ path: 'app', decision: 'stop', by: 'restart type' }])
    expect((await system.stats()).failures).toEqual({ resume: 0, restart: 2, stop: 1 })
    await system.stop()
  })

  test('D2: catch restarts for E1, else escalates: a subclass of E1 restarts, E2 climbs', async () => {
    class E1 extends Error {}
    class E1a extends E1 {}
    class E2 extends Error {}
    const { life } = lives()
    const decide = ({ error }: Failure): Decision => (error instanceof E1 ? restart : escalate)
    const system = await start(supervisor('app', { catch: decide }, [life('a')]), { catch: () => stop })
    fail(system, 'app/a', new E1a())
    await settle()
    expect(listOf(system, 'app')).toBe('a running 2')
    const error = new E2()
    fail(system, 'app/a', error)
    await expect(system.done).rejects.toMatchObject({ error })
  })

  test('D3: restart: initial state and context, the same input', async () => {
    const inputs: unknown[] = []
    const input = { n: 1 }
    const machine = setup({ types: { input: {} as { n: number }, context: {} as { n: number } } }).createMachine({
      context: ({ input: given }) => (inputs.push(given), { n: given.n }),
      on: { count: { actions: assign({ n: ({ context }) => context.n + 1 }) }, fail: { actions: () => raise(1) } },
    })
    const system = await start(supervisor('app', [actor('a', machine, { input })]))
    const { ref } = childAt(system, 'app/a')
    ref.send({ type: 'count' })
    expect(ref.getSnapshot()).toMatchObject({ context: { n: 2 } })
    ref.send({ type: 'fail' })
    await settle()
    expect(ref.getSnapshot()).toMatchObject({ context: { n: 1 } })
    expect(inputs[1]).toBe(input)
    expect(inputs).toHaveLength(2)
    await system.stop()
  })

  test('D4: resume: the step had spawned and sent before it threw: no child, no message, state as before', async () => {
    const seen: string[] = []
    const listener = fromCallback(({ receive }) => {
      seen.push('+listener')
      receive(({ type }) => seen.push(type))
    })
    const machine = setup({
      types: { context: {} as { n: number } },
      actors: { listener, other: fromCallback(() => void seen.push('+other')) },
    }).createMachine({
      context: { n: 0 },
      initial: 'one',
      invoke: { src: 'listener', id: 'listener', systemId: 'listener' },
      states: {
        one: {
          invoke: { src: 'other', id: 'kept', systemId: 'kept' },
          on: {
            go: {
              target: 'two',
              actions: [
                assign({ n: 1 }),
                spawnChild('other', { id: 'spawned', systemId: 'spawned' }),
                sendTo('listener', { type: 'sent' }),
                () => seen.push('done to the outside'),
                () => raise('no'),
              ],
            },
            ask: { actions: sendTo(({ system }) => system.get('kept') ?? raise('no kept'), { type: 'ask' }) },
          },
        },
        two: { invoke: { src: 'other', id: 'entered', systemId: 'kept' } },
      },
    })
    const system = await start(supervisor('app', { catch: () => resume }, [actor('a', machine)]))
    const failures = failuresOf(system)
    const { ref } = childAt(system, 'app/a')
    const before = ref.getSnapshot() as { children: object }
    seen.length = 0
    ref.send({ type: 'go' })
    await settle()
    const after = ref.getSnapshot() as { children: object; value: string; context: object }
    expect(seen).toEqual(['done to the outside'])
    expect(after).toMatchObject({ status: 'active', value: 'one', context: { n: 0 } })
    expect(Object.keys(after.children)).toEqual(Object.keys(before.children))
    ref.send({ type: 'ask' }) // its system id is its own still
    ref.send({ type: 'go' }) // those of the step are free again
    expect(failures.map(({ error }) => error)).toEqual(['no', 'no'])
    expect(listOf(system, 'app')).toBe('a running 1')
    await system.stop()
  })

  test('D5: resume(value): a transient promise actor rejects: ended with that output, not restarted', async () => {
    const logic = fromPromise(() => Promise.reject(new Error('no')))
    const system = await start(supervisor('app', { catch: () => resume(42) }, []))
    const ended: unknown[] = []
    system.on('actor.ended', ({ path, output, generation }) => ended.push({ path, output, generation }))
    await system.supervisor('app').startChild(actor('a', logic, { restart: 'transient' }))
    await settle()
    expect(ended).toEqual([{ path: 'app/a', output: 42, generation: 1 }])
    expect(listOf(system, 'app')).toBe('a stopped 1')
    await system.stop()
  })

  test.each([
    ['a text', 'restart', '"restart"'],
    ['undefined', undefined, 'undefined'],
    ['null', null, 'null'],
    ['true', true, 'true'],
    ['an object that looks like one', { decision: 'restart' }, 'decision'],
    ['a rejected promise', () => Promise.reject(new Error('async')), 'a promise'],
    ['a promise of a decision', () => Promise.resolve(restart), 'a promise'],
  ])('D6: catch gives %s: escalates, InvalidDecisionError', async (_what, answer, evidence) => {
    const rejections = vi.fn<(error: unknown) => void>()
    process.on('unhandledRejection', rejections)
    const { life } = lives()
    const give = (): never => (typeof answer === 'function' ? answer() : answer) as never
    const system = await start(supervisor('app', { catch: give }, [life('a')]), { catch: () => stop })
    fail(system, 'app/a', 'no')
    const failure = await system.done.catch((thrown: Failure) => thrown)
    expect((failure as Failure).trail).toEqual([
      { path: 'app', decision: 'escalate', by: 'catch', because: expect.any(InvalidDecisionError) },
      { path: '', decision: 'stop', by: 'catch' },
    ])
    const because = String((failure as Failure).trail[0]?.because)
    expect(because).toContain('catch of app returned')
    expect(because).toContain(evidence)
    expect(because).toContain('the failure climbed to the root catch')
    await settle()
    process.off('unhandledRejection', rejections)
    expect(rejections).not.toHaveBeenCalled()
  })

  test.each(hostileValues)('a catch that throws or returns %s escalates', async (_what, make) => {
    for (const way of ['throws', 'returns'] as const) {
      const { life } = lives()
      const value = make()
      const answer = (): never => (way === 'throws' ? raise(value) : (value as never))
      const system = await start(supervisor('app', { catch: answer }, [life('a')]), { catch: () => stop })
      fail(system, 'app/a', 'no')
      const failure = (await system.done.catch((thrown: Failure) => thrown)) as Failure
      expect(failure.error).toBe('no')
      expect(failure.trail.map(({ decision, by }) => `${decision} ${by}`)).toEqual(['escalate catch', 'stop catch'])
      expect(way === 'returns' || Object.is(failure.trail[0]?.because, value)).toBe(true)
      expect(failure.report()).toContain('app/a failed (thrown)')
    }
  })

  test.each(hostileValues)('an actor that throws %s fails with exactly that', async (_what, make) => {
    const { life } = lives()
    const system = await start(supervisor('app', [life('a'), life('b')]))
    const failures = failuresOf(system)
    const error = make()
    fail(system, 'app/a', error)
    await settle()
    expect(Object.is(failures[0]?.error, error) || error === undefined).toBe(true)
    expect(listOf(system, 'app')).toBe('a running 2, b running 1')
    await system.stop()
  })

  test('D7: a machine without onError: its invoked promise rejects: one failure, of the machine', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', [actor('a', kinds['was rejected']), life('b')]))
    const failures = failuresOf(system)
    childAt(system, 'app/a').ref.send({ type: 'go' })
    await settle()
    expect(failures).toMatchObject([{ path: 'app/a', kind: 'thrown', error: 'no', generation: 1 }])
    expect(listOf(system, 'app')).toBe('a running 2, b running 1')
    await system.stop()
  })

  test.each([
    ['permanent', 'a running 3'],
    ['transient', 'a stopped 2'],
    ['temporary', ''],
  ] as const)('D8: a %s machine that is final after its restart counts as ended', async (type, list) => {
    let starts = 0
    const machine = createMachine({
      initial: 'deciding',
      context: () => ({ isFinal: (starts += 1) === 2 }),
      states: {
        deciding: { always: [{ guard: ({ context }) => context.isFinal, target: 'over' }, { target: 'up' }] },
        up: { on: { fail: { actions: () => raise(1) } } },
        over: { type: 'final' },
      },
    })
    const system = await start(supervisor('app', [actor('a', machine, { restart: type })]))
    childAt(system, 'app/a').ref.send({ type: 'fail' })
    await settle()
    expect(listOf(system, 'app')).toBe(list)
    await system.stop()
  })

  test('D9: a pending after: machine restarted: the old timer never fires', async () => {
    const fired: number[] = []
    const clock = manualClock()
    let lives = 0
    const machine = createMachine({
      context: () => ({ n: (lives += 1) }),
      initial: 'up',
      states: { up: { after: { 1_000: { actions: ({ context }) => fired.push(context.n) } } } },
      on: { fail: { actions: () => raise(1) } },
    })
    const system = await start(supervisor('app', [actor('a', machine)]), { clock })
    await clock.advance(500)
    childAt(system, 'app/a').ref.send({ type: 'fail' })
    await clock.advance(999)
    expect(fired).toEqual([])
    await clock.advance(1)
    expect(fired).toEqual([2])
    await system.stop()
    expect(clock.pending).toBe(0)
  })

  test('D10: catch: () => restart, limit 3: a job always fails: 4 incarnations, then it climbs', async () => {
    const { life } = lives()
    let calls = 0
    const work = task('work', () => {
      calls += 1
      raise('no')
    })
    const system = await start(supervisor('app', { catch: () => restart }, [life('a'), work]), { catch: () => resume })
    const failures = failuresOf(system)
    const { status } = await system.run(work).settled()
    expect(status).toBe('failed')
    expect(calls).toBe(4)
    expect(failures.map(({ trail }) => trail.map(({ decision, by }) => `${decision} ${by}`))).toEqual([
      ['restart catch'],
      ['restart catch'],
      ['restart catch'],
      ['escalate limit', 'resume catch'],
    ])
    expect(listOf(system, 'app')).toBe('a running 1, work running 1')
    await system.stop()
  })

  test('D11: temporary actor, catch: () => restart: stopped, forgotten, asked: restart', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', { catch: () => restart }, [life('a', { restart: 'temporary' })]))
    const failures = failuresOf(system)
    fail(system, 'app/a')
    await settle()
    expect(listOf(system, 'app')).toBe('')
    expect(failures[0]?.trail).toEqual([{ path: 'app', decision: 'stop', by: 'catch', asked: 'restart' }])
    await system.stop()
  })

  test('is asked once per failure and level', async () => {
    const { life } = lives()
    const asked: string[] = []
    const ask =
      (name: string, decision: Decision) =>
      ({ path }: Failure): Decision => (asked.push(`${name} about ${path}`), decision)
    const deep = supervisor('deep', { catch: ask('deep', escalate) }, [life('a')])
    const sup = supervisor('sup', { catch: ask('sup', escalate) }, [deep])
    const system = await start(supervisor('app', { catch: ask('app', restart) }, [sup]))
    fail(system, 'app/sup/deep/a')
    await settle()
    expect(asked).toEqual(['deep about app/sup/deep/a', 'sup about app/sup/deep/a', 'app about app/sup/deep/a'])
    await system.stop()
  })

  test('of a catch that calls the admin API is carried out beside those calls', async () => {
    const { life } = lives()
    const system: System = await start(
      supervisor('app', { catch: () => (void system.supervisor('app').stopChild('b'), restart) }, [
        life('a'),
        life('b'),
      ]),
    )
    fail(system, 'app/a')
    await settle()
    expect(listOf(system, 'app')).toBe('a running 2, b stopped 1')
    await system.stop()
  })
})

describe('the root catch', () => {
  async function failing(
    rootCatch: ((failure: Failure) => RootDecision) | undefined,
    options: object = {},
  ): Promise<{ system: System; lines: string[] }> {
    const { lines, life } = lives()
    const root = supervisor('app', { ...noRestarts, ...options }, [life('a'), life('b')])
    const system = await start(root, rootCatch && { catch: rootCatch })
    return { system, lines }
  }

  test('by default prints the report once and stops the system for an actor', async () => {
    const print = vi.spyOn(console, 'error').mockImplementation(() => {})
    const { system } = await failing(undefined)
    fail(system, 'app/a', new Error('no'))
    const failure = (await system.done.catch((thrown: Failure) => thrown)) as Failure
    expect(failure.trail.at(-1)).toEqual({ path: '', decision: 'stop', by: 'default' })
    expect(print).toHaveBeenCalledTimes(1)
    const printed = String(print.mock.calls[0]?.[0])
    expect(printed).toContain('app/a failed (thrown)')
    expect(printed).toMatch(/app +escalate +limit, asked restart/)
    expect(printed).toMatch(/root catch +stop +default/)
  })

  test('by default prints the report once and resumes for a job', async () => {
    const print = vi.spyOn(console, 'error').mockImplementation(() => {})
    const work = task('work', () => raise('no'))
    const system = await start(supervisor('app', [work]))
    expect((await system.run(work).settled()).status).toBe('failed')
    expect(print).toHaveBeenCalledTimes(1)
    expect(system.isStopped).toBe(false)
    await system.stop()
  })

  test('that stops for a job stops the system, and done rejects with that failure', async () => {
    const work = task('work', () => raise('no'))
    const system = await start(supervisor('app', [work]), { catch: () => stop })
    await system.run(work).settled()
    await expect(system.done).rejects.toMatchObject({ error: 'no', path: expect.stringContaining('app/work/job:') })
  })

  test('that restarts applies the whole definition again, 3 times in 5s, then stops', async () => {
    const clock = manualClock()
    const { lines, life } = lives()
    const system = await start(supervisor('app', noRestarts, [life('a'), life('b')]), { catch: () => restart, clock })
    const failures = failuresOf(system)
    await system.spawn(life('x'))
    for (let n = 1; n <= 3; n += 1) {
      fail(system, 'app/a', n)
      await settle()
      expect(listOf(system, 'app')).toBe(`a running ${n + 1}, b running ${n + 1}`)
    }
    expect(system.tree().generation).toBe(4)
    fail(system, 'app/a', 4)
    await expect(system.done).rejects.toMatchObject({ error: 4 })
    expect(failures.map(({ trail }) => trail.at(-1))).toEqual([
      { path: '', decision: 'restart', by: 'catch' },
      { path: '', decision: 'restart', by: 'catch' },
      { path: '', decision: 'restart', by: 'catch' },
      { path: '', decision: 'stop', by: 'limit', asked: 'restart', because: expect.any(RestartLimitError) },
    ])
    expect(lines.filter((line) => line.startsWith('+'))).toHaveLength(9)
    expect(clock.pending).toBe(0)
  })

  test('may restart without end when failures are further apart', async () => {
    const clock = manualClock()
    const { life } = lives()
    const system = await start(supervisor('app', noRestarts, [life('a')]), { catch: () => restart, clock })
    for (let n = 1; n <= 10; n += 1) {
      fail(system, 'app/a', n)
      await clock.advance(2_000)
    }
    expect(listOf(system, 'app')).toBe('a running 11')
    await system.stop()
  })

  test('that restarts a root which does not start is asked about that, too', async () => {
    const { life } = lives()
    const a = life('a', { onStart: (n) => void (n > 1 && raise(`start ${n}`)) })
    const asked: unknown[] = []
    const system = await start(supervisor('app', noRestarts, [a]), {
      catch: ({ kind, error }) => (asked.push([kind, error]), restart),
    })
    fail(system, 'app/a', 'first')
    await expect(system.done).rejects.toMatchObject({ kind: 'start', error: 'start 4' })
    expect(asked).toEqual([
      ['thrown', 'first'],
      ['start', 'start 2'],
      ['start', 'start 3'],
      ['start', 'start 4'],
    ])
  })

  test('that resumes an actor stops: there is nothing to go on with', async () => {
    const { system } = await failing(() => resume)
    fail(system, 'app/a', 'no')
    const failure = (await system.done.catch((thrown: Failure) => thrown)) as Failure
    expect(failure.trail.at(-1)).toEqual({ path: '', decision: 'stop', by: 'catch', asked: 'resume' })
  })

  test.each([
    ['throws', () => raise('root'), 'root'],
    ['returns undefined', () => undefined, expect.any(InvalidDecisionError)],
    ['returns a promise', () => Promise.reject(new Error('async')), expect.any(InvalidDecisionError)],
    ['escalates', () => escalate, expect.any(InvalidDecisionError)],
  ])('that %s acts as stop, and done rejects with the original failure', async (_what, answer, because) => {
    const uncaught = vi.fn<(error: unknown) => void>()
    process.on('uncaughtException', uncaught)
    process.on('unhandledRejection', uncaught)
    const { system } = await failing(answer as never)
    const decisions = decisionsOf(system)
    fail(system, 'app/a', 'no')
    const failure = (await system.done.catch((thrown: Failure) => thrown)) as Failure
    expect(failure).toMatchObject({ error: 'no', path: 'app/a' })
    expect(failure.trail.at(-1)).toMatchObject({ path: '', decision: 'stop', by: 'catch', because })
    expect(decisions).toEqual(['app/a stop by catch'])
    await settle()
    process.off('uncaughtException', uncaught)
    process.off('unhandledRejection', uncaught)
    expect(uncaught).not.toHaveBeenCalled()
  })

  test.each([
    ['throws', () => raise('root')],
    ['escalates', () => escalate],
  ])('that %s for a job acts as stop', async (_what, answer) => {
    const work = task('work', () => raise('no'))
    const system = await start(supervisor('app', [work]), { catch: answer as never })
    await system.run(work).settled()
    const failure = (await system.done.catch((thrown: Failure) => thrown)) as Failure
    expect(failure.trail.at(-1)).toMatchObject({ path: '', decision: 'stop', by: 'catch', because: expect.anything() })
  })

  test('is not asked while the system stops, nor for a start that somebody waits for', async () => {
    const asked = vi.fn<() => RootDecision>(() => stop)
    const { life } = lives()
    const a = life('a', { onStop: () => raise('cleanup') })
    const system = await start(supervisor('app', [a]), { catch: asked })
    await expect(system.spawn(life('x', { onStart: () => raise(1) }))).rejects.toBeInstanceOf(Failure)
    await system.stop()
    expect(asked).not.toHaveBeenCalled()
  })

  test('done that nobody looks at is no unhandled rejection', async () => {
    const rejections = vi.fn<(error: unknown) => void>()
    process.on('unhandledRejection', rejections)
    const { system } = await failing(() => stop)
    fail(system, 'app/a')
    await system.stop()
    await settle()
    process.off('unhandledRejection', rejections)
    expect(rejections).not.toHaveBeenCalled()
  })

  test('stands above a root that is one actor: restarts are its type, then the limit', async () => {
    const { life } = lives()
    const system = await start(life('a'), { catch: () => stop })
    const failures = failuresOf(system)
    expect(system.tree()).toMatchObject({ name: 'a', path: 'a', kind: 'actor', status: 'running' })
    for (let n = 0; n < 4; n += 1) {
      system
        .supervisor('')
        .children()[0]
        ?.ref.send({ type: 'fail', error: n } as never)
      await settle()
    }
    await expect(system.done).rejects.toMatchObject({ path: 'a', error: 3 })
    expect(failures.map(({ trail }) => trail.map(({ decision, by }) => `${decision} ${by}`))).toEqual([
      ['restart restart type'],
      ['restart restart type'],
      ['restart restart type'],
      ['escalate limit', 'stop catch'],
    ])
  })
})

describe('resume', () => {
  test('goes on with the events that wait', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', { catch: () => resume }, [life('a')]))
    const { ref } = childAt(system, 'app/a')
    for (let n = 0; n < 5; n += 1) {
      tell(system, 'app/a', { type: 'count' })
      fail(system, 'app/a')
    }
    expect(ref.getSnapshot()).toMatchObject({ context: { count: 5 } })
    expect((await system.stats()).droppedMessages).toBe(0)
    await system.stop()
  })
})
