import {
  actor,
  InvalidOptionError,
  resume,
  start,
  stop,
  supervisor,
  type AutoShutdown,
  type RestartType,
  type System,
} from 'rootcatch'
import { settle } from 'rootcatch/testing'
import { describe, expect, test } from 'vitest'
import { createMachine } from 'xstate'
import { fail, isOpen, listOf, lives, tell } from '../support/lives.ts'

describe('auto-shutdown', () => {
  test.each([
    ['never', 'transient', `Its supervisor "app" never looks at it; give that autoShutdown: 'any' or 'all'.`],
    ['never', 'temporary', `Its supervisor "app" never looks at it; give that autoShutdown: 'any' or 'all'.`],
    ['any', 'permanent', `A permanent child never ends for good; use restart: 'transient' or 'temporary'.`],
    ['all', 'permanent', `A permanent child never ends for good; use restart: 'transient' or 'temporary'.`],
  ] as const)('U1: significant with %s and %s is refused', async (autoShutdown, restart, advice) => {
    const define = (): unknown =>
      supervisor('app', { autoShutdown }, [lives().life('a', { significant: true, restart })])
    expect(define).toThrow(InvalidOptionError)
    expect(define).toThrow(`actor "a" got significant true (boolean). ${advice}`)
  })

  test('U1: startChild and spawn refuse it as well', async () => {
    const system = await start(supervisor('app', []))
    const a = lives().life('a', { significant: true, restart: 'temporary' })
    await expect(system.supervisor('app').startChild(a)).rejects.toBeInstanceOf(InvalidOptionError)
    await expect(system.spawn(a)).rejects.toBeInstanceOf(InvalidOptionError)
    await system.stop()
  })

  const ways = {
    ends: (system: System) => tell(system, 'app/sup/a', { type: 'end' }),
    fails: (system: System) => fail(system, 'app/sup/a'),
    'fails with stop': (system: System) => fail(system, 'app/sup/a', stop),
    'fails with a value': (system: System) => fail(system, 'app/sup/a', resume(1)),
    'is stopped by hand': (system: System) => system.supervisor('app/sup').stopChild('a'),
    'is stopped by a round': (system: System) => fail(system, 'app/sup/z'),
  }

  test.each([
    ['any', 'temporary', 'ends', true],
    ['any', 'temporary', 'fails', true],
    ['any', 'temporary', 'fails with stop', true],
    ['any', 'temporary', 'is stopped by hand', false],
    ['any', 'temporary', 'is stopped by a round', false],
    ['any', 'transient', 'ends', true],
    ['any', 'transient', 'fails', false],
    ['any', 'transient', 'fails with stop', true],
    ['any', 'transient', 'fails with a value', true],
    ['any', 'transient', 'is stopped by hand', false],
    ['any', 'transient', 'is stopped by a round', false],
    ['all', 'temporary', 'ends', false],
    ['all', 'temporary', 'fails', false],
    ['all', 'transient', 'fails with stop', false],
  ] as const)('U2: %s, significant %s, %s: stops the supervisor: %s', async (autoShutdown, restart, way, stops) => {
    const { life } = lives()
    const catches = ({ error }: { error: unknown }): never => (typeof error === 'object' ? error : undefined) as never
    const options = { autoShutdown, strategy: 'one-for-all', restart: 'transient' } as const
    const caught = way.startsWith('fails with') ? { ...options, catch: catches } : options
    const children = [
      life('a', { significant: true, restart }),
      life('b', { significant: true, restart: 'transient' }),
      life('z'),
    ]
    const system = await start(supervisor('app', [supervisor('sup', caught, children)]))
    await ways[way](system)
    await settle()
    expect(listOf(system, 'app')).toBe(stops ? 'sup stopped 1' : 'sup running 1')
    await system.stop()
  })

  test('U2: any, significant temporary ends: the supervisor stops normally, in reverse', async () => {
    const { lines, life } = lives()
    const children = [life('z'), life('a', { significant: true, restart: 'temporary' }), life('b')]
    const sup = supervisor('sup', { autoShutdown: 'any', restart: 'temporary' }, children)
    const system = await start(supervisor('app', [sup]))
    const events: string[] = []
    system.on('*', (event) => void ('path' in event && events.push(`${event.type} ${event.path}`)))
    await system.spawn(life('x'), { under: 'app/sup' })
    tell(system, 'app/sup/a', { type: 'end' })
    await settle()
    expect(lines.slice(4)).toEqual(['-a', '-x', '-b', '-z'])
    expect(events.slice(1)).toEqual([
      'actor.ended app/sup/a',
      'actor.stopped app/sup/x:1',
      'actor.stopped app/sup/b',
      'actor.stopped app/sup/z',
      'actor.ended app/sup',
    ])
    expect(listOf(system, 'app')).toBe('')
    await system.stop()
  })

  test('all: the supervisor stops when the last significant child has ended for good', async () => {
    const { life } = lives()
    const children = ['a', 'b', 'c'].map((name) => life(name, { significant: true, restart: 'transient' }))
    const sup = supervisor('sup', { autoShutdown: 'all', restart: 'transient' }, [...children, life('z')])
    const system = await start(supervisor('app', [sup]))
    tell(system, 'app/sup/b', { type: 'end' })
    tell(system, 'app/sup/a', { type: 'end' })
    await settle()
    await system.supervisor('app/sup').restartChild('a') // it is up again, so it counts again
    tell(system, 'app/sup/c', { type: 'end' })
    await settle()
    expect(listOf(system, 'app')).toBe('sup running 1')
    tell(system, 'app/sup/a', { type: 'end' })
    await settle()
    expect(listOf(system, 'app')).toBe('sup stopped 1')
    await system.stop()
  })

  const modes: readonly AutoShutdown[] = ['never', 'any', 'all']
  const types: readonly RestartType[] = ['permanent', 'transient', 'temporary']
  const ends = ['ends', 'fails', 'is stopped by hand'] as const
  test.each(modes.flatMap((mode) => types.flatMap((type) => ends.map((how) => [mode, type, how] as const))))(
    'U3: %s: a %s child that is not significant %s: no auto-shutdown',
    async (autoShutdown, restart, how) => {
      const { life } = lives()
      const sup = supervisor('sup', { autoShutdown, restart: 'transient' }, [life('a', { restart }), life('b')])
      const system = await start(supervisor('app', [sup]))
      await ways[how](system)
      await settle()
      expect(listOf(system, 'app')).toBe('sup running 1')
      await system.stop()
    },
  )

  test.each([
    [true, true],
    [false, false],
  ])(
    'U4: nested, both any: inner auto-stops; inner is significant: %s, outer stops: %s',
    async (significant, stops) => {
      const { life } = lives()
      const a = life('a', { significant: true, restart: 'transient' })
      const inner = supervisor('inner', { autoShutdown: 'any', restart: 'transient', significant }, [a])
      const outer = supervisor('outer', { autoShutdown: 'any', restart: 'transient' }, [inner, life('b')])
      const system = await start(supervisor('app', [outer]))
      tell(system, 'app/outer/inner/a', { type: 'end' })
      await settle()
      expect(listOf(system, 'app')).toBe(stops ? 'outer stopped 1' : 'outer running 1')
      await system.stop()
    },
  )

  test('of a permanent supervisor is an end: it is restarted, charged', async () => {
    const { life } = lives()
    const a = life('a', { significant: true, restart: 'transient' })
    const system = await start(
      supervisor('app', { restarts: { limit: 1 } }, [supervisor('sup', { autoShutdown: 'any' }, [a])]),
      { catch: () => stop },
    )
    tell(system, 'app/sup/a', { type: 'end' })
    await settle()
    expect(listOf(system, 'app')).toBe('sup running 2')
    tell(system, 'app/sup/a', { type: 'end' })
    await expect(system.done).rejects.toMatchObject({ kind: 'restarts', path: 'app/sup' })
  })

  test('of the root stops the system; done resolves', async () => {
    const { life } = lives()
    const system = await start(
      supervisor('app', { autoShutdown: 'any' }, [life('a', { significant: true, restart: 'temporary' })]),
    )
    const events: string[] = []
    system.on('*', ({ type }) => events.push(type))
    tell(system, 'app/a', { type: 'end' })
    await expect(system.done).resolves.toBeUndefined()
    expect(system.isStopped).toBe(true)
    expect(events).toEqual(['actor.ended', 'actor.ended', 'system.stopped'])
  })

  test('waits until all are up: a significant child that is final at once stops it then', async () => {
    const { lines, life } = lives()
    const final = createMachine({ initial: 'over', states: { over: { type: 'final' } } })
    const system = await start(supervisor('app', []))
    const sup = supervisor('sup', { autoShutdown: 'any', restart: 'transient' }, [
      actor('a', final, { significant: true, restart: 'transient' }),
      life('b', { ready: isOpen }),
    ])
    const starting = system.supervisor('app').startChild(sup)
    await settle()
    expect(lines).toEqual(['+b'])
    tell(system, 'app/sup/b', { type: 'open' })
    await starting
    await settle()
    expect(lines).toEqual(['+b', '-b'])
    expect(listOf(system, 'app')).toBe('sup stopped 1')
    await system.stop()
  })
})
