import { actor, restart, resume, start, stop, supervisor, type RestartType } from 'rootcatch'
import { settle } from 'rootcatch/testing'
import { describe, expect, test } from 'vitest'
import { fromPromise } from 'xstate'
import { childAt, decisionsOf, fail, listOf, lives, raise, tell } from '../support/lives.ts'

const types = ['permanent', 'transient', 'temporary'] as const satisfies readonly RestartType[]

describe('a child that', () => {
  const cells = {
    'ended by itself': ['a running 2, b running 1', 'a stopped 1, b running 1', 'b running 1'],
    failed: ['a running 2, b running 1', 'a running 2, b running 1', 'b running 1'],
    'was rejected': ['a running 2, b running 1', 'a running 2, b running 1', 'b running 1'],
    'was stopped by stopChild': ['a stopped 1, b running 1', 'a stopped 1, b running 1', 'b running 1'],
  }

  for (const [how, after] of Object.entries(cells)) {
    test.each(types.map((type, at) => [type, after[at]] as const))(`${how} is, if %s: %s`, async (type, list) => {
      const { life } = lives()
      let reject: (error: unknown) => void = () => {}
      const a =
        how === 'was rejected'
          ? actor(
              'a',
              fromPromise(() => new Promise((_resolve, no) => void (reject = no))),
              { restart: type },
            )
          : life('a', { restart: type })
      const system = await start(supervisor('app', [a, life('b')]))
      if (how === 'ended by itself') tell(system, 'app/a', { type: 'end' })
      if (how === 'failed') fail(system, 'app/a')
      if (how === 'was rejected') reject(new Error('no'))
      if (how === 'was stopped by stopChild') await system.supervisor('app').stopChild('a')
      await settle()
      expect(listOf(system, 'app')).toBe(list)
      await system.stop()
    })
  }

  test.each([
    ['permanent', 'a stopped 1, b running 1'],
    ['transient', 'a stopped 1, b running 1'],
    ['temporary', 'b running 1'],
  ] as const)('was stopped by a decision is, if %s: %s', async (type, list) => {
    const { life } = lives()
    const system = await start(supervisor('app', { catch: () => stop }, [life('a', { restart: type }), life('b')]))
    fail(system, 'app/a')
    await settle()
    expect(listOf(system, 'app')).toBe(list)
    await system.stop()
  })

  test.each([
    ['permanent', 'a running 2, b running 2'],
    ['transient', 'a running 2, b running 2'],
    ['temporary', 'b running 2'],
  ] as const)('was stopped as a sibling in a round is, if %s: %s', async (type, list) => {
    const { life } = lives()
    const options = { strategy: 'one-for-all', restarts: { limit: 1 } } as const
    const system = await start(supervisor('app', options, [life('a', { restart: type }), life('b')]))
    fail(system, 'app/b')
    await settle()
    expect(listOf(system, 'app')).toBe(list)
    await system.stop()
  })

  test.each([
    ['permanent', 'a running 3'],
    ['transient', 'a running 3'],
  ] as const)('did not start again is, if %s: %s', async (type, list) => {
    const { life } = lives()
    const onStart = (n: number): void => void (n === 2 && raise(new Error('second')))
    const system = await start(supervisor('app', [life('a', { restart: type, onStart })]))
    const decisions = decisionsOf(system)
    fail(system, 'app/a')
    await settle()
    expect(listOf(system, 'app')).toBe(list)
    expect(decisions).toEqual(['app/a restart by restart type', 'app/a restart by restart type'])
    await system.stop()
  })

  test('is in a supervisor that stops is never restarted', async () => {
    const { lines, life } = lives()
    const system = await start(
      supervisor(
        'app',
        types.map((type) => life(type, { restart: type })),
      ),
    )
    await system.stop()
    await settle()
    expect(lines).toEqual(['+permanent', '+transient', '+temporary', '-temporary', '-transient', '-permanent'])
  })
})

describe('a restart type', () => {
  test('T1: permanent, ends normally: restarted, one charge', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', { restarts: { limit: 2 }, catch: () => raise(1) }, [life('a')]), {
      catch: () => stop,
    })
    for (let n = 0; n < 2; n += 1) {
      tell(system, 'app/a', { type: 'end' })
      await settle()
    }
    expect(listOf(system, 'app')).toBe('a running 3')
    tell(system, 'app/a', { type: 'end' })
    await expect(system.done).rejects.toMatchObject({ kind: 'restarts', path: 'app/a' })
  })

  test('T2: transient, ends normally: stays down, definition kept, siblings live', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', [life('a', { restart: 'transient' }), life('b')]))
    tell(system, 'app/a', { type: 'end' })
    await settle()
    expect(listOf(system, 'app')).toBe('a stopped 1, b running 1')
    await system.supervisor('app').restartChild('a')
    expect(listOf(system, 'app')).toBe('a running 2, b running 1')
    await system.stop()
  })

  test('T3: transient, fails: restarted', async () => {
    const { life } = lives()
    const system = await start(supervisor('app', [life('a', { restart: 'transient' })]))
    fail(system, 'app/a')
    await settle()
    expect(listOf(system, 'app')).toBe('a running 2')
    await system.stop()
  })

  test('T4: temporary children with large inputs leave nothing once they ended', async () => {
    const large = (): Uint8Array => new Uint8Array(1_000_000)
    const refs: WeakRef<Uint8Array>[] = []
    const system = await start(supervisor('app', []))
    const spawn = async (): Promise<void> => {
      const input = large()
      refs.push(new WeakRef(input))
      const logic = fromPromise(({ input: given }: { input: Uint8Array }) => Promise.resolve(given.length))
      await system.spawn(actor('x', logic, { input, restart: 'temporary' }))
    }
    for (let n = 0; n < 100; n += 1) await spawn()
    await settle()
    expect(system.supervisor('app').count()).toMatchObject({ total: 0, stopped: 0, dynamic: 0 })
    await collectGarbage()
    expect(refs.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(5)
    await system.stop()
  })

  test('T5: a transient child that ended stays down in a later one-for-all round', async () => {
    const { life } = lives()
    const options = { strategy: 'one-for-all' } as const
    const system = await start(supervisor('app', options, [life('a', { restart: 'transient' }), life('b')]))
    tell(system, 'app/a', { type: 'end' })
    await settle()
    fail(system, 'app/b')
    await settle()
    expect(listOf(system, 'app')).toBe('a stopped 1, b running 2')
    await system.stop()
  })

  test('is a promise about the child: a catch may do less, never more', async () => {
    const { life } = lives()
    const system = await start(
      supervisor('app', { catch: () => restart }, [
        life('a', { restart: 'temporary' }),
        life('b', { restart: 'transient' }),
      ]),
    )
    const decisions = decisionsOf(system)
    fail(system, 'app/a')
    fail(system, 'app/b')
    await settle()
    expect(listOf(system, 'app')).toBe('b running 2')
    expect(decisions).toEqual(['app/a stop by catch', 'app/b restart by catch'])
    await system.stop()
  })

  test('decides about an end that stands for a failure, too', async () => {
    const { life } = lives()
    const system = await start(
      supervisor(
        'app',
        { catch: () => resume('value') },
        types.map((type) => life(type, { restart: type })),
      ),
    )
    for (const type of types) fail(system, `app/${type}`)
    await settle()
    expect(listOf(system, 'app')).toBe('permanent running 2, transient stopped 1')
    expect(childAt(system, 'app/permanent').restart).toBe('permanent')
    await system.stop()
  })
})

async function collectGarbage(): Promise<void> {
  const { setFlagsFromString } = await import('node:v8')
  const { runInNewContext } = await import('node:vm')
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  for (let n = 0; n < 3; n += 1) {
    await settle()
    gc()
  }
}
