import { createInspector } from '@statelyai/inspect'
import { start, stop, supervisor, task, type Logger, type System } from 'rootcatch'
import { settle } from 'rootcatch/testing'
import { describe, expect, test, vi } from 'vitest'
import type { AnyActorRef, InspectionEvent } from 'xstate'
import { fail, failuresOf, listOf, lives, raise, tell } from '../support/lives.ts'

describe('a listener', () => {
  test.each([
    ['throws', () => raise('listener')],
    ['rejects', () => Promise.reject(new Error('listener'))],
  ])('that %s harms nobody, and is told once per event', async (_what, listener) => {
    const { life } = lives()
    const system = await start(supervisor('app', [life('a'), life('b')]))
    const told: string[] = []
    const others: string[] = []
    system.on('callback.failed', ({ callback }) => told.push(callback))
    system.on('failure.decided', listener)
    system.on('*', listener)
    system.on('failure.decided', ({ failure }) => others.push(failure.path))
    fail(system, 'app/a')
    await settle()
    expect(listOf(system, 'app')).toBe('a running 2, b running 1')
    expect(others).toEqual(['app/a'])
    expect(told.filter((callback) => callback === 'listener of failure.decided')).toHaveLength(2)
    await system.stop()
  })

  test('may call the admin API, stop the system, or take itself off', async () => {
    const { life } = lives()
    const system: System = await start(supervisor('app', [life('a'), life('b')]))
    const seen: string[] = []
    const once = (): void => {
      seen.push('once')
      system.off('failure.decided', once)
      void system.supervisor('app').stopChild('b')
    }
    system.on('failure.decided', once)
    fail(system, 'app/a')
    await settle()
    fail(system, 'app/a')
    await settle()
    expect(seen).toEqual(['once'])
    expect(listOf(system, 'app')).toBe('a running 3, b stopped 1')
    system.on('failure.decided', () => void system.stop())
    fail(system, 'app/a')
    await system.done
    expect(listOf(system, 'app')).toBe('a stopped 3, b stopped 1')
  })

  test('that was never on takes off nobody when it goes off', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', [life('a')]))
    const failures = failuresOf(system)
    system.off('failure.decided', () => {})
    fail(system, 'app/a')
    expect(failures).toHaveLength(1)
    await system.stop()
  })
})

describe('a logger that throws', () => {
  test('harms nobody', async () => {
    const log = Object.fromEntries(['debug', 'info', 'warn', 'error'].map((level) => [level, () => raise(level)]))
    const { life } = lives()
    const system = await start(supervisor('app', [life('a')]), { log: log as unknown as Logger })
    system.on('failure.decided', () => raise('listener'))
    const told: string[] = []
    system.on('callback.failed', ({ callback }) => told.push(callback))
    fail(system, 'app/a')
    await settle()
    expect(told).toEqual(['listener of failure.decided', 'log.warn'])
    expect(listOf(system, 'app')).toBe('a running 2')
    await system.stop()
  })
})

describe('inspect', () => {
  const root = (life: ReturnType<typeof lives>['life']): ReturnType<typeof supervisor> =>
    supervisor('app', [life('a'), supervisor('sup', { strategy: 'one-for-all' }, [life('b'), task('t', () => 1)])])

  test.each(['a function', 'an observer'])('as %s sees every node, and each state of a supervisor', async (as) => {
    const { life } = lives()
    const actors = new Set<string>()
    const states: unknown[] = []
    const inspect = (event: InspectionEvent): void => {
      const { id } = event.actorRef as AnyActorRef
      if (event.type === '@xstate.actor') actors.add(id)
      if (event.type !== '@xstate.snapshot' || id !== 'sup') return
      states.push((event.snapshot as { value?: unknown }).value)
    }
    const system = await start(root(life), { inspect: as === 'a function' ? inspect : { next: inspect } })
    expect([...actors]).toEqual(expect.arrayContaining(['root catch', 'app', 'a', 'sup', 'b', 't']))
    fail(system, 'app/sup/b')
    await settle()
    await system.stop()
    expect(states.filter((state, at) => state !== states[at - 1])).toEqual([
      'starting',
      'running',
      'restarting',
      'running',
      'stopping',
      'stopped',
    ])
  })

  test('by an observer that throws harms nobody; after three throws it is not called again', async () => {
    const { lines, life } = lives()
    const inspect = vi.fn<() => never>(() => raise('observer'))
    const system = await start(root(life), { inspect })
    expect(inspect).toHaveBeenCalledTimes(3)
    fail(system, 'app/a')
    await settle()
    expect(listOf(system, 'app')).toBe('a running 2, sup running 1')
    await system.stop()
    expect(lines).toEqual(['+a', '+b', '-a', '+a', '-b', '-a'])
    expect(inspect).toHaveBeenCalledTimes(3)
  })

  test('by createInspector of @statelyai/inspect follows a whole life', async () => {
    const { life } = lives()
    const sent: { readonly type: string; readonly sessionId?: string }[] = []
    const inspector = createInspector({ send: (event) => void sent.push(event), start: () => {}, stop: () => {} })
    const system = await start(root(life), { inspect: inspector.inspect, catch: () => stop })
    fail(system, 'app/sup/b', new Error('no'))
    tell(system, 'app/a', { type: 'count' })
    await settle()
    await system.spawn(life('x'))
    await system.stop()
    await settle()
    const types = new Set(sent.map(({ type }) => type))
    expect([...types]).toEqual(expect.arrayContaining(['@xstate.actor', '@xstate.snapshot', '@xstate.event']))
    expect(() => JSON.stringify(sent)).not.toThrow()
    expect(sent.length).toBeGreaterThan(20)
  })
})
