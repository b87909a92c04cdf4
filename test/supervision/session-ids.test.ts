import { describe, expect, test } from 'vitest'
import { createActor, createMachine, type AnyActorRef } from 'xstate'
import { bookSessionsAhead } from '../../src/actors/session-ids.ts'

const machine = createMachine({})

const systemBookedAhead = (): AnyActorRef => {
  const root = createActor(machine)
  bookSessionsAhead(root.system)
  return root as AnyActorRef
}

const childOf = (parent: AnyActorRef): string => createActor(machine, { parent } as never).sessionId
const numberOf = (sessionId: string): number => Number(sessionId.slice('x:'.length))

describe('sessions that are booked ahead', () => {
  test('have ids that count up, also from one booking to the next and beside another system', () => {
    const [one, other] = [systemBookedAhead(), systemBookedAhead()]
    const ids: string[] = []
    for (let count = 0; count < 2_500; count += 1) ids.push(childOf(one))
    const numbers = ids.map(numberOf)
    expect(numbers.every((number, index) => index === 0 || number > (numbers[index - 1] as number))).toBe(true)
    const all = [...ids, one.sessionId, other.sessionId, childOf(other), createActor(machine).sessionId]
    expect(new Set(all).size).toBe(all.length)
    expect(all.every((id) => id.startsWith('x:'))).toBe(true)
  })

  test('are left as they are where XState is not as expected', () => {
    const other = { _bookId: (prefix: string) => `${prefix}1` }
    const { _bookId } = other
    bookSessionsAhead(other)
    bookSessionsAhead({})
    expect(other._bookId).toBe(_bookId)
  })
})
