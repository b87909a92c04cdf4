import {
  actor,
  ChildRestartingError,
  ChildRunningError,
  ChildStoppedError,
  escalate,
  exponential,
  InvalidOptionError,
  restart,
  start,
  stop,
  supervisor,
  SupervisorStoppedError,
  SystemStoppedError,
  task,
  UnknownChildError,
  UnknownPathError,
  type Decision,
  type Definition,
  type SupervisorHandle,
  type System,
} from 'rootcatch'
import { manualClock, settle, type ManualClock } from 'rootcatch/testing'
import { describe, expect, test } from 'vitest'
import { createMachine, fromPromise } from 'xstate'
import { childAt, decisionsOf, isOpen, listOf, lives, raise, tell, type Lives } from '../support/lives.ts'

const backoff = exponential({ from: '10s', to: '10s', jitter: 0 })

interface Scene extends Lives {
  readonly system: System
  readonly admin: SupervisorHandle
  readonly clock: ManualClock
  readonly a: Definition
}

type State = 'runs' | 'is starting' | 'is stopped' | 'is restarting' | 'is stopping' | 'is unknown'

/** A supervisor `app` with a child `a` in some state and a child `b` that runs. */
async function scene(state: State): Promise<Scene> {
  const rec = lives()
  const { life } = rec
  const clock = manualClock()
  const a = state === 'is stopping' ? actor('a', stuck) : life('a', state === 'is starting' ? { ready: isOpen } : {})
  const children = state === 'is unknown' || state === 'is starting' ? [life('b')] : [a, life('b')]
  const system = await start(supervisor('app', { backoff, restarts: { limit: 5 } }, children), { clock, catch: raise })
  const admin = system.supervisor('app')
  if (state === 'is starting') void admin.startChild(a).catch(() => {})
  if (state === 'is stopped') await admin.stopChild('a')
  if (state === 'is restarting') tell(system, 'app/a', { type: 'fail', error: 1 })
  if (state === 'is stopping') void admin.stopChild('a')
  await settle()
  rec.take()
  return { system, admin, ...rec, clock, a }
}

const stuck = createMachine({ on: { shutdown: { actions: () => {} } } })

/** The name of the error, `fine` if there is none. */
function answerOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'fine',
    (error: Error) => error.name,
  )
}

describe('the admin API', () => {
  const calls = {
    startChild: ({ admin, a }: Scene) => admin.startChild(a),
    stopChild: ({ admin }: Scene) => admin.stopChild('a'),
    restartChild: ({ admin }: Scene) => admin.restartChild('a'),
    deleteChild: ({ admin }: Scene) => admin.deleteChild('a'),
  } as const

  test.each([
    ['A1', 'startChild', 'runs', ChildRunningError, 'a running 1, b running 1'],
    ['A1', 'restartChild', 'runs', ChildRunningError, 'a running 1, b running 1'],
    ['A1', 'deleteChild', 'runs', ChildRunningError, 'a running 1, b running 1'],
    ['§9', 'stopChild', 'runs', undefined, 'a stopped 1, b running 1'],
    ['§9', 'startChild', 'is starting', ChildRunningError, 'b running 1, a starting 1'],
    ['§9', 'restartChild', 'is starting', ChildRunningError, 'b running 1, a starting 1'],
    ['§9', 'deleteChild', 'is starting', ChildRunningError, 'b running 1, a starting 1'],
    ['§9', 'stopChild', 'is starting', undefined, 'b running 1'],
    ['§9', 'startChild', 'is stopping', ChildRunningError, 'a stopping 1, b running 1'],
    ['§9', 'restartChild', 'is stopping', ChildRunningError, 'a stopping 1, b running 1'],
    ['§9', 'deleteChild', 'is stopping', ChildRunningError, 'a stopping 1, b running 1'],
    ['§9', 'startChild', 'is stopped', ChildStoppedError, 'a stopped 1, b running 1'],
    ['§9', 'stopChild', 'is stopped', undefined, 'a stopped 1, b running 1'],
    ['§9', 'restartChild', 'is stopped', undefined, 'a running 2, b running 1'],
    ['§9', 'deleteChild', 'is stopped', undefined, 'b running 1'],
    ['§9', 'startChild', 'is restarting', ChildRestartingError, 'a restarting 1, b running 1'],
    ['§9', 'stopChild', 'is restarting', undefined, 'a stopped 1, b running 1'],
    ['§9', 'restartChild', 'is restarting', ChildRestartingError, 'a restarting 1, b running 1'],
    ['§9', 'deleteChild', 'is restarting', ChildRestartingError, 'a restarting 1, b running 1'],
    ['§9', 'startChild', 'is unknown', undefined, 'b running 1, a running 1'],
    ['A2', 'stopChild', 'is unknown', UnknownChildError, 'b running 1'],
    ['A2', 'restartChild', 'is unknown', UnknownChildError, 'b running 1'],
    ['A2', 'deleteChild', 'is unknown', UnknownChildError, 'b running 1'],
  ] as const)('%s: %s of a child that %s', async (_case, call, state, error, after) => {
    const here = await scene(state)
    expect(await answerOf(calls[call](here))).toBe(error?.name ?? 'fine')
    expect(listOf(here.system, 'app')).toBe(after)
    await here.clock.advance('10s')
    await here.system.stop()
    expect(here.clock.pending).toBe(0)
  })

  test.each(['startChild', 'stopChild', 'restartChild', 'deleteChild'] as const)(
    '%s of a stopped supervisor is rejected',
    async (call) => {
      const { system, clock, a } = await scene('runs')
      await system.supervisor('app').startChild(supervisor('sup', [a]))
      const admin = system.supervisor('app/sup')
      await system.supervisor('app').stopChild('sup')
      await expect(calls[call]({ admin, a } as Scene)).rejects.toBeInstanceOf(SupervisorStoppedError)
      await expect(calls[call]({ admin, a } as Scene)).rejects.toThrow(
        `app/sup is stopped, so ${call} did nothing. Restart it through its parent, app.`,
      )
      await system.stop()
      await expect(calls[call]({ admin: system.supervisor('app'), a } as Scene)).rejects.toBeInstanceOf(
        SupervisorStoppedError,
      )
      expect(clock.pending).toBe(0)
    },
  )

  test('A1: a child that runs is untouched by calls that are refused', async () => {
    const { admin, lines, a, system } = await scene('runs')
    for (const call of [admin.startChild(a), admin.restartChild('a'), admin.deleteChild('a')]) {
      await expect(call).rejects.toThrow(`app/a is running. Call stopChild('a') first.`)
    }
    expect(lines).toEqual([])
    await system.stop()
  })

  test('A2: an unknown name is answered with the nearest one', async () => {
    const { system } = await scene('runs')
    await system.supervisor('app').startChild(lives().life('resize'))
    await expect(system.supervisor('app').stopChild('resise')).rejects.toThrow('Did you mean "resize"?')
    await system.stop()
  })

  test('A3: a dynamic child is gone after stopChild, then unknown; its siblings live', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', []))
    const admin = system.supervisor('app')
    const definition = life('x')
    await system.spawn(definition)
    await system.spawn(definition)
    expect(listOf(system, 'app')).toBe('x:1 running 1, x:2 running 1')
    await admin.stopChild('x:1')
    await expect(admin.stopChild('x:1')).rejects.toBeInstanceOf(UnknownChildError)
    expect(listOf(system, 'app')).toBe('x:2 running 1')
    await system.spawn(definition)
    expect(listOf(system, 'app')).toBe('x:2 running 1, x:3 running 1')
    await system.stop()
  })

  test('A4: count says dynamic 1000, then 0', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', [supervisor('sup', []), life('a')]))
    const admin = system.supervisor('app')
    const definition = life('x')
    await Promise.all(Array.from({ length: 1_000 }, () => system.spawn(definition)))
    const before = { total: 1_002, running: 1_002, restarting: 0, stopped: 0, supervisors: 1, dynamic: 1_000 }
    expect(admin.count()).toEqual(before)
    await Promise.all(Array.from({ length: 1_000 }, (_, n) => admin.stopChild(`x:${n + 1}`)))
    expect(admin.count()).toEqual({ ...before, total: 2, running: 2, dynamic: 0 })
    await system.stop()
  })

  test('A5: a restartChild whose start throws rejects; the child stays, stopped', async () => {
    const error = new Error('second')
    const a = lives().life('a', {
      onStart: (n) => {
        if (n === 2) throw error
      },
    })
    const system = await start(supervisor('app', { restarts: { limit: 0 } }, [a]))
    const decisions = decisionsOf(system)
    const admin = system.supervisor('app')
    await admin.stopChild('a')
    await expect(admin.restartChild('a')).rejects.toMatchObject({ path: 'app/a', kind: 'start', error, trail: [] })
    expect(listOf(system, 'app')).toBe('a stopped 2')
    expect(decisions).toEqual([])
    await admin.restartChild('a')
    expect(listOf(system, 'app')).toBe('a running 3')
    await system.stop()
  })

  test.each([
    ['startChild', (system: System, a: Definition) => system.supervisor('app').startChild(a)],
    ['spawn', (system: System, a: Definition) => system.spawn(a)],
  ])('%s whose start throws keeps no definition', async (_call, add) => {
    const { system } = await scene('is unknown')
    const a = lives().life('a', { onStart: () => raise(new Error('no')) })
    await expect(add(system, a)).rejects.toMatchObject({ kind: 'start' })
    expect(listOf(system, 'app')).toBe('b running 1')
    expect(system.supervisor('app').count()).toMatchObject({ total: 1, stopped: 0 })
    await system.stop()
  })

  test('a child that is stopped and started again is not charged, and its failures count anew', async () => {
    const { system, admin, clock } = await scene('is restarting')
    await clock.advance('10s')
    await admin.stopChild('a')
    for (let n = 0; n < 20; n += 1) {
      await admin.restartChild('a')
      await admin.stopChild('a')
    }
    await admin.restartChild('a')
    expect(listOf(system, 'app')).toBe('a running 23, b running 1')
    await system.stop()
  })

  test('ChildRestartingError tells when the next try is', async () => {
    const { system, admin, clock } = await scene('is restarting')
    await clock.advance(4_000)
    await expect(admin.restartChild('a')).rejects.toThrow(
      `app/a is being restarted, next try in 6s. Call stopChild('a') to end that.`,
    )
    await system.stop()
  })

  test('stopChild of a child that starts answers whoever waits for that start', async () => {
    const { system, admin, life } = await scene('is unknown')
    const starting = admin.startChild(life('a', { ready: isOpen }))
    const spawning = system.spawn(life('x', { ready: isOpen }))
    await settle()
    await admin.stopChild('a')
    await admin.stopChild('x:1')
    await expect(starting).rejects.toBeInstanceOf(ChildStoppedError)
    await expect(spawning).rejects.toBeInstanceOf(ChildStoppedError)
    expect(listOf(system, 'app')).toBe('b running 1')
    await system.stop()
  })

  test('all calls wait while their supervisor starts, and stopChild keeps a child from starting', async () => {
    const { system, life, lines, clock } = await scene('is unknown')
    const sup = supervisor('sup', [life('a', { ready: isOpen }), life('z')])
    const starting = system.supervisor('app').startChild(sup)
    await settle()
    const admin = system.supervisor('app/sup')
    expect(listOf(system, 'app/sup')).toBe('a starting 1, z starting 0')
    const added = admin.startChild(life('c'))
    const spawned = system.spawn(life('x'), { under: 'app/sup' })
    await expect(admin.startChild(life('c'))).rejects.toBeInstanceOf(ChildRunningError)
    await settle()
    await admin.stopChild('z')
    expect(lines).toEqual(['+a'])
    tell(system, 'app/sup/a', { type: 'open' })
    await Promise.all([starting, added, spawned])
    expect(lines).toEqual(['+a', '+c', '+x'])
    expect(listOf(system, 'app/sup')).toBe('a running 1, z stopped 0, c running 1, x:1 running 1')
    await system.stop()
    expect(clock.pending).toBe(0)
  })

  test('a supervisor that starts goes on when the child it waits for is stopped', async () => {
    const { system, life } = await scene('is unknown')
    const sup = supervisor('sup', [life('a', { ready: isOpen }), life('z')])
    const starting = system.supervisor('app').startChild(sup)
    await settle()
    await system.supervisor('app/sup').stopChild('a')
    await starting
    expect(listOf(system, 'app/sup')).toBe('a stopped 1, z running 1')
    await system.stop()
  })

  test('what was asked for while a supervisor starts is rejected if it does not', async () => {
    const { system, life, clock } = await scene('is unknown')
    const starting = system.supervisor('app').startChild(supervisor('sup', [life('a', { ready: isOpen })]))
    await settle()
    const added = system.supervisor('app/sup').startChild(life('c'))
    const spawned = system.spawn(life('x'), { under: 'app/sup' })
    await settle()
    tell(system, 'app/sup/a', { type: 'fail', error: 1 })
    await expect(starting).rejects.toMatchObject({ path: 'app/sup/a' })
    await expect(added).rejects.toBeInstanceOf(SupervisorStoppedError)
    await expect(spawned).rejects.toBeInstanceOf(SupervisorStoppedError)
    await system.stop()
    expect(clock.pending).toBe(0)
  })

  test('calls made in a catch are carried out after its decision, and never make two incarnations', async () => {
    const { lines, life } = lives()
    const answers: Promise<string>[] = []
    const rejects = fromPromise(() => Promise.reject(new Error('no')))
    const decide = (): Decision => {
      const admin = system.supervisor('app')
      answers.push(answerOf(admin.restartChild('b')), answerOf(admin.restartChild('b')))
      answers.push(answerOf(admin.deleteChild('c')), answerOf(admin.restartChild('c')))
      answers.push(answerOf(admin.stopChild('a')), answerOf(system.spawn(life('x'))))
      return restart
    }
    const system: System = await start(supervisor('app', { catch: decide }, [life('b'), life('c')]))
    const admin = system.supervisor('app')
    await admin.stopChild('b')
    await admin.stopChild('c')
    lines.length = 0
    await admin.startChild(actor('a', rejects))
    await settle()
    expect(await Promise.all(answers)).toEqual([
      'fine',
      'ChildRunningError',
      'fine',
      'UnknownChildError',
      'fine',
      'fine',
    ])
    expect(lines).toEqual(['+b', '+x'])
    expect(listOf(system, 'app')).toBe('b running 2, a stopped 1, x:1 running 1')
    await system.stop()
  })

  test('calls made in a catch that escalates are answered as by a stopped supervisor', async () => {
    const { lines, life } = lives()
    const answers: Promise<string>[] = []
    const decide = (): Decision => {
      answers.push(answerOf(system.supervisor('app/sup').restartChild('b')))
      answers.push(answerOf(system.spawn(life('x'), { under: 'app/sup' })))
      return escalate
    }
    const rejects = fromPromise(() => Promise.reject(new Error('no')))
    const sup = supervisor('sup', { catch: decide }, [life('b')])
    const system: System = await start(supervisor('app', { catch: () => stop }, [sup]))
    const admin = system.supervisor('app/sup')
    await admin.stopChild('b')
    lines.length = 0
    await admin.startChild(actor('a', rejects))
    await settle()
    expect(await Promise.all(answers)).toEqual(['SupervisorStoppedError', 'SupervisorStoppedError'])
    expect(lines).toEqual([])
    expect(listOf(system, 'app/sup')).toBe('b stopped 1, a stopped 1')
    await system.stop()
  })

  test.each([[42], [undefined], [{}]])('startChild and spawn refuse %o', async (definition) => {
    const { system, admin } = await scene('runs')
    await expect(admin.startChild(definition as never)).rejects.toBeInstanceOf(InvalidOptionError)
    await expect(system.spawn(definition as never)).rejects.toBeInstanceOf(InvalidOptionError)
    await system.stop()
  })
})

describe('system.supervisor', () => {
  test('throws for a path that is none, with the nearest one', async () => {
    const system = await start(supervisor('app', [supervisor('media', []), lives().life('a')]))
    expect(() => system.supervisor('app/meda')).toThrow(UnknownPathError)
    expect(() => system.supervisor('app/meda')).toThrow(
      'there is no supervisor at "app/meda". Did you mean "app/media"?',
    )
    expect(() => system.supervisor('app/a')).toThrow(UnknownPathError)
    expect(() => system.supervisor('nowhere at all, really')).toThrow('There are: app, app/media.')
    await system.stop()
  })

  test('answers for the next incarnation of that supervisor too', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', [supervisor('sup', { restarts: { limit: 0 } }, [life('a')])]))
    const admin = system.supervisor('app/sup')
    tell(system, 'app/sup/a', { type: 'fail', error: 1 })
    await settle()
    expect(admin.children()).toMatchObject([{ name: 'a', status: 'running', generation: 2 }])
    await admin.stopChild('a')
    expect(admin.count()).toMatchObject({ stopped: 1 })
    await system.stop()
  })

  test('of a supervisor that was deleted is none', async () => {
    const system = await start(supervisor('app', [supervisor('sup', [supervisor('deep', [])])]))
    const admin = system.supervisor('app/sup')
    await system.supervisor('app').stopChild('sup')
    await system.supervisor('app').deleteChild('sup')
    expect(() => system.supervisor('app/sup')).toThrow(UnknownPathError)
    expect(() => system.supervisor('app/sup/deep')).toThrow(UnknownPathError)
    await expect(admin.stopChild('deep')).rejects.toBeInstanceOf(SupervisorStoppedError)
    await system.stop()
  })
})

describe('spawn', () => {
  test('names children extra:1, extra:2, and leaves out names that are taken', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', [life('x:2')]))
    const refs = [await system.spawn(life('x')), await system.spawn(life('x')), await system.spawn(life('y'))]
    expect(refs.map(({ path }) => path)).toEqual(['app/x:1', 'app/x:3', 'app/y:1'])
    await system.stop()
  })

  test('stands under the root, or where it is told to', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', [supervisor('sup', [])]))
    expect((await system.spawn(life('x'), { under: 'app/sup' })).path).toBe('app/sup/x:1')
    await expect(system.spawn(life('x'), { under: 'app/sub' })).rejects.toThrow(UnknownPathError)
    await expect(system.spawn(life('x'), { uner: 'app' } as never)).rejects.toThrow('Did you mean "under"?')
    await system.stop()
    await expect(system.spawn(life('x'))).rejects.toBeInstanceOf(SystemStoppedError)
  })

  test.each(['permanent', 'transient', 'temporary'] as const)(
    'a %s dynamic child is forgotten once it is down for good',
    async (restart) => {
      const { life } = lives()
      const system = await start(supervisor('app', { restarts: { limit: 9 } }, []))
      const ref = await system.spawn(life('x', { restart }))
      ref.send({ type: 'end' })
      await settle()
      expect(listOf(system, 'app')).toBe(restart === 'permanent' ? 'x:1 running 2' : '')
      if (restart === 'permanent') await system.supervisor('app').stopChild('x:1')
      expect(system.supervisor('app').count()).toMatchObject({ total: 0, dynamic: 0 })
      await system.stop()
    },
  )

  test('takes a supervisor or a task as well, and the path is none once it is gone', async () => {
    const { life } = lives()
    const work = task('work', () => 'done')
    const system = await start(supervisor('app', []))
    await system.spawn(supervisor('sup', [life('a')]))
    expect(childAt(system, 'app/sup:1/a').status).toBe('running')
    await system.supervisor('app').stopChild('sup:1')
    expect(() => system.supervisor('app/sup:1')).toThrow(UnknownPathError)
    await system.spawn(work)
    expect(await system.run(work)).toBe('done')
    await expect(system.spawn(work)).rejects.toThrow('task "work" stands at app/work:1')
    await system.supervisor('app').stopChild('work:1')
    expect(() => system.run(work)).toThrow('this system has no task "work"')
    await system.stop()
  })
})
