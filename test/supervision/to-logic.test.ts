import { actor, Failure, start, stop, supervisor, task, toLogic, type RootDecision } from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'
import { describe, expect, test, vi } from 'vitest'
import { createActor, createMachine, fromCallback, toPromise, waitFor, type AnyActorRef } from 'xstate'
import { isOpen, lives, raise } from '../support/lives.ts'

const isRunning = (snapshot: unknown): boolean =>
  (snapshot as { context: { phase: string } }).context.phase === 'running'

describe('toLogic', () => {
  test('makes a supervisor that lives as long as the actor around it', async () => {
    const { lines, life } = lives()
    const clock = manualClock()
    const before = process.listenerCount('unhandledRejection')
    const logic = toLogic(supervisor('app', [life('a'), life('b', { ready: () => true })]), { clock })
    const machine = createMachine({
      initial: 'on',
      states: { on: { invoke: { src: logic, id: 'app' }, on: { off: 'off' } }, off: {} },
    })
    const host = createActor(machine)
    host.start()
    await settle()
    expect(lines).toEqual(['+a', '+b'])
    expect(isRunning((host.getSnapshot().children as Record<string, AnyActorRef>)['app']?.getSnapshot())).toBe(true)
    host.send({ type: 'off' })
    expect(lines).toEqual(['+a', '+b', '-b', '-a'])
    await settle()
    expect(clock.pending).toBe(0)
    expect(process.listenerCount('unhandledRejection')).toBe(before)
    host.stop()
  })

  test('fails that actor with the failure nobody below has decided', async () => {
    const error = new Error('no')
    const seen: unknown[] = []
    const bad = actor(
      'a',
      fromCallback(({ receive }) => receive(() => raise(error))),
    )
    const root = supervisor('app', { restarts: { limit: 0 } }, [
      actor(
        'go',
        createMachine({ invoke: { src: fromCallback(() => {}) }, after: { 1_000: { actions: () => raise(error) } } }),
      ),
      bad,
    ])
    const clock = manualClock()
    const logic = toLogic(root, { clock, catch: () => stop })
    const machine = createMachine({
      initial: 'on',
      states: {
        on: {
          invoke: {
            src: logic,
            onError: { target: 'failed', actions: ({ event }) => seen.push(event.error) },
          },
        },
        failed: {},
      },
    })
    const host = createActor(machine, { clock: clock as never })
    host.start()
    await settle()
    await clock.advance('1s')
    expect(host.getSnapshot().value).toBe('failed')
    expect(seen).toMatchObject([{ path: 'app/go', error }])
    expect(seen[0]).toBeInstanceOf(Failure)
    expect(clock.pending).toBe(0)
    host.stop()
  })

  test('fails that actor when it does not start, once all is unwound', async () => {
    const { lines, life } = lives()
    const logic = toLogic(supervisor('app', [life('a'), life('b', { onStart: () => raise('no') })]))
    const host = createActor(logic)
    host.subscribe({ error: () => {} })
    host.start()
    await expect(toPromise(host)).rejects.toMatchObject({ path: 'app/b', error: 'no', kind: 'start' })
    expect(lines).toEqual(['+a', '-a'])
  })

  test('takes shutdown: stops in order, and is then done', async () => {
    const { lines, life } = lives()
    const host = createActor(toLogic(supervisor('app', [life('a'), life('b')])))
    host.start()
    await waitFor(host, isRunning)
    host.send({ type: 'shutdown' })
    await toPromise(host)
    expect(lines).toEqual(['+a', '+b', '-b', '-a'])
    expect(host.getSnapshot().status).toBe('done')
  })

  test('takes shutdown while it starts: unwinds, and is then done', async () => {
    const { lines, life } = lives()
    const host = createActor(toLogic(supervisor('app', [life('a'), life('b', { ready: isOpen })])))
    host.start()
    await settle()
    host.send({ type: 'shutdown' })
    await toPromise(host)
    expect(lines).toEqual(['+a', '+b', '-b', '-a'])
    expect(host.getSnapshot().status).toBe('done')
  })

  test('takes shutdown while a start that failed unwinds, and fails with that', async () => {
    const { life } = lives()
    const clock = manualClock()
    const slow = createMachine({
      initial: 'up',
      states: { up: { on: { shutdown: 'draining' } }, draining: { after: { 300: 'over' } }, over: { type: 'final' } },
    })
    const root = supervisor('app', [actor('slow', slow), life('b', { onStart: () => raise('no') })])
    const host = createActor(toLogic(root, { clock }), { clock: clock as never })
    host.subscribe({ error: () => {} })
    const error = toPromise(host).catch((thrown: unknown) => thrown)
    host.start()
    await settle()
    host.send({ type: 'shutdown' })
    await clock.advance(300)
    expect(await error).toMatchObject({ path: 'app/b', error: 'no' })
    expect(clock.pending).toBe(0)
  })

  test('that is stopped while it starts leaves nothing behind', async () => {
    const { lines, life } = lives()
    const clock = manualClock()
    const logic = toLogic(supervisor('app', [life('a'), life('b', { ready: isOpen })]), { clock })
    for (const turns of [0, 1]) {
      const host = createActor(logic)
      host.start()
      if (turns > 0) await settle()
      host.stop()
      await settle()
    }
    expect(lines).toEqual(['+a', '+b', '-b', '-a'])
    expect(clock.pending).toBe(0)
  })

  test('makes each actor of it a system of its own', async () => {
    const { lines, life } = lives()
    const logic = toLogic(supervisor('app', [life('a')]))
    const hosts = [createActor(logic), createActor(logic)]
    for (const host of hosts) host.start()
    await settle()
    hosts[0]?.stop()
    await settle()
    expect(lines).toEqual(['+a', '+a', '-a'])
    hosts[1]?.stop()
  })

  test('makes a task one job: its value is the output, its failure the error', async () => {
    const double = task('double', (n: number) => (n < 0 ? raise('negative') : n * 2))
    const print = vi.spyOn(console, 'error').mockImplementation(() => {})
    const good = createActor(toLogic(double), { input: 21 })
    good.start()
    expect(await toPromise(good)).toBe(42)
    const bad = createActor(toLogic(double), { input: -1 })
    bad.subscribe({ error: () => {} })
    bad.start()
    await expect(toPromise(bad)).rejects.toMatchObject({ error: 'negative' })
    expect(print).not.toHaveBeenCalled()
    print.mockRestore()
  })

  test('asks its own root catch, and prints by default', async () => {
    const { life } = lives()
    const asked = vi.fn<() => RootDecision>(() => stop)
    const logic = toLogic(supervisor('app', { restarts: { limit: 0 } }, [life('a', { restart: 'transient' })]), {
      catch: asked,
    })
    const host = createActor(logic)
    host.subscribe({ error: () => {} })
    host.start()
    await waitFor(host, isRunning)
    host.send({ type: 'hello' }) // not for its children
    await settle()
    expect(host.getSnapshot().status).toBe('active')
    host.stop()
    expect(asked).not.toHaveBeenCalled()
  })

  test('stands in a tree of ours as well', async () => {
    const { lines, life } = lives()
    const inner = toLogic(supervisor('inner', [life('a')]))
    const system = await start(
      supervisor('app', [life('z'), actor('inner', inner, { ready: isRunning, shutdown: '5s' })]),
    )
    expect(lines).toEqual(['+z', '+a'])
    await system.stop()
    expect(lines).toEqual(['+z', '+a', '-a', '-z'])
  })

  test('refuses what is no definition, and options it does not know', () => {
    expect(() => toLogic({} as never)).toThrow('toLogic() got')
    expect(() => toLogic(supervisor('app', []), { inspect: () => {} } as never)).toThrow('unknown option "inspect"')
  })
})
