import { actor, start, supervisor } from 'rootcatch'
import { describe, expect, test } from 'vitest'
import { createActor, createMachine, type AnyActorRef } from 'xstate'
import { listNoActors } from '../../src/actors/actor-list.ts'

const child = createMachine({ initial: 'on', states: { on: {} } })
const withChild = createMachine({
  invoke: { src: child, id: 'child', systemId: 'known' },
  on: { ping: { actions: () => {} } },
})

describe('a system whose actors XState does not list', () => {
  test('still finds its actors by their systemId, and forgets those that ended', async () => {
    const seen: string[] = []
    const root = createActor(withChild, { inspect: ({ type }) => void seen.push(type) })
    listNoActors(root.system as never)
    root.start()
    expect((root.system.get('known') as AnyActorRef).getSnapshot()).toMatchObject({ value: 'on' })
    root.stop()
    expect(root.system.get('known')).toBeUndefined()
    expect(seen).toContain('@xstate.snapshot')
  })

  test('does not look for an actor at its end that took no systemId', () => {
    const ended: string[] = []
    const root = createActor(
      createMachine({ invoke: [{ src: child }, { src: child, id: 'known', systemId: 'known' }] }),
    )
    const registry = root.system as unknown as { _unregister: (ref: AnyActorRef) => void }
    const unregister = registry._unregister
    registry._unregister = (ref) => {
      ended.push(ref.id)
      unregister(ref)
    }
    listNoActors(root.system as never)
    root.start()
    root.stop()
    expect(new Set(ended)).toEqual(new Set(['known']))
  })

  test('is one that start() made; a machine in it may be restarted under the same systemId', async () => {
    await using system = await start(supervisor('app', [actor('parent', withChild)]))
    const app = system.supervisor('app')
    await app.stopChild('parent')
    await app.restartChild('parent')
    expect(app.children()).toMatchObject([{ name: 'parent', status: 'running' }])
  })

  test('is left as it is where XState is not as expected', () => {
    const other = { _register: () => 'x' }
    const { _register } = other
    listNoActors(other as never)
    expect(other._register).toBe(_register)
  })
})
