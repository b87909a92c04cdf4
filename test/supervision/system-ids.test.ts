import { actor, start, supervisor, type ChildInfo } from 'rootcatch'
import { describe, expect, test } from 'vitest'
import { createActor, createMachine, enqueueActions, setup, type AnyActorRef } from 'xstate'
import { keepUnstarted } from '../../src/actors/system-ids.ts'

const idle = createMachine({ initial: 'on', states: { on: {} } })

/** Spawns a child with a `systemId` and throws in the same step. */
const spawner = setup({ actors: { idle } }).createMachine({
  on: {
    spawn: {
      actions: enqueueActions(({ enqueue }) => {
        enqueue.spawnChild('idle', { systemId: 'wanted' })
        enqueue(() => {
          throw new Error('after the spawn')
        })
      }),
    },
    again: { actions: enqueueActions(({ enqueue }) => enqueue.spawnChild('idle', { systemId: 'wanted' })) },
  },
})

const idsOf = (system: object): Readonly<Record<string, unknown>> =>
  (system as { getAll(): Readonly<Record<string, unknown>> }).getAll()

describe('a systemId', () => {
  test('taken in a step that threw is free at once', async () => {
    await using system = await start(supervisor('app', [actor('spawner', spawner)]))
    const [info] = system.supervisor('app').children()
    const ref = (info as ChildInfo).ref
    ref.send({ type: 'spawn' })
    await expect.poll(() => ref.generation).toBe(2)
    ref.send({ type: 'spawn' })
    await expect.poll(() => ref.generation).toBe(3)
    ref.send({ type: 'again' })
    expect(Object.keys((ref.getSnapshot() as { children: object }).children)).toHaveLength(1)
  })

  test('of an actor that runs is never freed for another one that failed', () => {
    const root = createActor(createMachine({ invoke: { src: idle, systemId: 'known' } }))
    keepUnstarted(root.system)
    root.start()
    expect(Object.keys(idsOf(root.system))).toEqual(['known'])
    root.stop()
    expect(idsOf(root.system)).toEqual({})
  })

  test('costs no failure anything: each looks at those that were not started yet, not at all there are', async () => {
    const looked = { times: 0 }
    const root = createActor(idle)
    const { getAll } = root.system as unknown as { getAll(): object }
    Object.assign(root.system, { getAll: () => ((looked.times += 1), getAll()) })
    keepUnstarted(root.system)
    const { freeSystemIds } = await import('../../src/actors/system-ids.ts')
    for (let n = 0; n < 10; n += 1) freeSystemIds(root as AnyActorRef)
    expect(looked.times).toBe(0)
  })

  test('is found the slow way in a system that is not as expected', async () => {
    const foreign = { getAll: () => ({}) }
    keepUnstarted(foreign)
    expect(Object.keys(foreign)).toEqual(['getAll'])
  })
})
