import { actor, start, supervisor, type ChildInfo } from 'rootcatch'
import { describe, expect, test } from 'vitest'
import { createActor, fromCallback, type AnyActorLogic, type AnyActorRef } from 'xstate'
import { replaceScope } from '../../src/actors/actor-scope.ts'

interface Scope {
  self: AnyActorRef
  defer: unknown
}

/** Logic that hands out the scope it is given. */
const telling = (scopes: Scope[]): AnyActorLogic => {
  const logic = fromCallback(() => {})
  return {
    ...logic,
    getInitialSnapshot: (scope: never, input: never) => {
      scopes.push(scope)
      return logic.getInitialSnapshot(scope, input)
    },
  } as never
}

describe('the scope that XState made for an actor', () => {
  test('is replaced as a whole, and keeps nothing of the actor', () => {
    const scopes: Scope[] = []
    const ref = createActor(telling(scopes))
    const [made] = scopes as [Scope]
    const other = { ...made }
    replaceScope(made as never, other as never)
    expect((ref as unknown as { _actorScope: unknown })._actorScope).toBe(other)
    expect(Object.values(made).filter((value) => value !== undefined)).toEqual([])
    expect(other.self).toBe(ref)
  })

  test('is left as it is where it is not found as expected', () => {
    const made = { self: {}, defer: () => {} }
    const before = { ...made }
    replaceScope(made as never, {} as never)
    expect(made).toEqual(before)
  })

  test('is not what the logic of a child gets: that stays whole, also after the end', async () => {
    const scopes: Scope[] = []
    await using system = await start(supervisor('app', [actor('child', telling(scopes))]))
    const app = system.supervisor('app')
    const [info] = app.children() as readonly [ChildInfo]
    await app.stopChild('child')
    const [scope] = scopes as [Scope]
    expect(scope.self.getSnapshot()).toBe(info.ref.getSnapshot())
    expect(scope.defer).toBeTypeOf('function')
  })
})
