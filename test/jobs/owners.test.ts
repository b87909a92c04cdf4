import { describe, expect, test, vi } from 'vitest'
import { Actor, createActor, createMachine, fromTransition, type AnyActorRef, type InspectionEvent } from 'xstate'
import { OwnedActor } from '../../src/actors/owned-actor.ts'
import { disown, isToldByRelay, owner, relayToOwners } from '../../src/actors/owner-relay.ts'

const chart = createMachine({
  initial: 'on',
  output: ({ event }) => event.output,
  states: { on: { on: { end: 'off' } }, off: { type: 'final', output: 7 } },
})

function tree(inspect?: (event: InspectionEvent) => void) {
  const heard: string[] = []
  const outputs: unknown[] = []
  const root = createActor(fromTransition((state: object, { type }) => (heard.push(type), state), {}))
  relayToOwners(root.system)
  if (inspect !== undefined) root.system.inspect(inspect)
  root.start()
  const input = { [owner]: { name: 'chart', input: undefined, over: (output: unknown) => outputs.push(output) } }
  const start = (more: object): Actor<typeof chart> => {
    const actor = new OwnedActor(chart as never, { parent: root, id: 'chart', ...more } as never)
    actor.start()
    return actor as never
  }
  return { root, heard, outputs, input, start }
}

describe('a chart whose input names its owner', () => {
  test('gives its output to that one once it is stopped, and its parent need not hear of it', () => {
    const { root, heard, outputs, input, start } = tree()
    expect(isToldByRelay(root.system, input)).toBe(true)
    start({ input }).send({ type: 'end' })
    expect([heard, outputs]).toEqual([[], [7]])
  })

  test('says so to whoever watches the system by XState itself', () => {
    const seen: string[] = []
    const { input, start } = tree((event) => {
      if (event.type === '@xstate.event') seen.push(`${event.event.type} to ${(event.actorRef as AnyActorRef).id}`)
    })
    const actor = start({ input })
    actor.send({ type: 'end' })
    expect(seen.slice(-2)).toEqual(['end to chart', `xstate.done.actor.chart to ${actor._parent?.id}`])
  })

  test('tells nobody once it was disowned', () => {
    const { heard, outputs, input, start } = tree()
    const actor = start({ input })
    disown(actor as never)
    actor.send({ type: 'end' })
    expect([heard, outputs]).toEqual([['xstate.done.actor.chart'], []])
  })

  test('is told from one that has none: there the parent hears', () => {
    const { root, heard, start } = tree()
    expect(isToldByRelay(root.system, undefined)).toBe(false)
    start({}).send({ type: 'end' })
    expect(heard).toEqual(['xstate.done.actor.chart'])
  })

  test('is run as ever where XState is not as expected', () => {
    const foreign = { _relay: () => {} }
    const { _relay } = foreign
    relayToOwners(foreign)
    expect(foreign._relay).toBe(_relay)
    expect(isToldByRelay(foreign, { [owner]: { over: () => {} } })).toBe(false)
  })
})

describe('the actor of a chart', () => {
  test("is XState's own: whoever observes it hears of its end, and is forgotten", () => {
    const { start } = tree()
    const actor = start({})
    const heard: string[] = []
    actor.subscribe({ next: ({ status }) => heard.push(status), complete: () => heard.push('complete') })
    actor.on('*', () => {})
    actor.send({ type: 'end' })
    expect(actor).toBeInstanceOf(Actor)
    expect(heard).toEqual(['done', 'complete'])
    const { observers, eventListeners } = actor as unknown as Kept
    expect([observers.size, eventListeners.size]).toEqual([0, 0])
    actor.subscribe({ complete: () => heard.push('late') })
    expect(heard.at(-1)).toBe('late')
  })

  test('forgets those who listen to what it emits, also where nobody observes it', () => {
    const { start } = tree()
    const actor = start({})
    actor.on('*', () => {})
    actor.send({ type: 'end' })
    expect((actor as unknown as Kept).eventListeners.size).toBe(0)
  })

  test('clears nothing where nobody listened', () => {
    const { start } = tree()
    const actor = start({})
    const { observers, eventListeners } = actor as unknown as Kept
    const clears = [vi.spyOn(observers, 'clear'), vi.spyOn(eventListeners, 'clear')]
    actor.send({ type: 'end' })
    expect(clears.flatMap(({ mock }) => mock.calls)).toEqual([])
  })
})

interface Kept {
  readonly observers: Set<unknown>
  readonly eventListeners: Map<string, unknown>
}
