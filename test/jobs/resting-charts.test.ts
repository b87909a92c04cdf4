import { describe, expect, test } from 'vitest'
import { createActor, fromCallback, fromTransition, setup, type AnyActorLogic } from 'xstate'
import { Host, toChartLogic, type AnyActorScope, type ChartActor } from '../../src/actors/chart.ts'
import type { Stay } from '../../src/actors/effect.ts'
import type { ChartOwner } from '../../src/actors/light-actor.ts'
import { owner, relayToOwners, type OwnedInput } from '../../src/actors/owner-relay.ts'
import { tellsSteps } from '../../src/actors/tells-steps.ts'

interface Given {
  readonly n: number
}

const machine = setup({
  types: { context: {} as Given, input: {} as Given, events: {} as { type: 'value'; value: number } },
  actors: { work: fromCallback(() => {}) },
}).createMachine({
  id: 'work',
  context: ({ input: { n } }) => ({ n }),
  initial: 'working',
  states: {
    working: { invoke: { src: 'work', input: ({ context }) => context }, on: { value: 'done' } },
    done: { type: 'final', output: ({ context, event }) => [context.n, event.type === 'value' ? event.value : 0] },
  },
  output: ({ event }) => event.output,
})

/** A node of a system whose actors are all XState's, and what it begins and hears. */
function node() {
  const root = createActor(fromTransition((state: object) => state, {}))
  relayToOwners(root.system)
  root.start()
  const stopped: unknown[] = []
  const host = Host.of({ self: root, stopChild: (ref: unknown) => stopped.push(ref) } as unknown as AnyActorScope)
  const begun: [number, Stay<{ type: string }>][] = []
  const work = ({ n }: Given, stay: Stay<{ type: string }>): undefined => void begun.push([n, stay])
  const logic: AnyActorLogic = toChartLogic(machine, { work } as never, false)
  const outputs: unknown[] = []
  const start = (n: number, slot: number): ChartActor<{ type: string }> => {
    const own: ChartOwner<unknown> & { writeInput(input: Given & OwnedInput): void } = {
      name: `work:${slot}`,
      slot,
      input: { n },
      firstContext: { n },
      get ownedInput() {
        return { n, [owner]: own }
      },
      writeInput: (input) => void Object.assign(input, { n, [owner]: own }),
      over: (output) => outputs.push(output),
    }
    return host.startChart(logic, own)
  }
  const finish = (n: number, value: number): void => {
    const [, stay] = begun.findLast(([of]) => of === n) ?? []
    stay?.send({ type: 'value', value } as { type: string })
  }
  return { root, start, finish, begun, outputs, stopped }
}

describe('an actor of XState', () => {
  test('has the next job of its slot, and each owner hears of its own', () => {
    const { start, finish, begun, outputs } = node()
    const first = start(1, 0)
    const beside = start(2, 1)
    finish(1, 10)
    const second = start(3, 0)
    expect([second.ref === first.ref, beside.ref === first.ref]).toEqual([true, false])
    expect(second.ref.getSnapshot()).toMatchObject({ status: 'active', value: 'working', context: { n: 3 } })
    finish(3, 30)
    finish(2, 20)
    expect(begun.map(([n]) => n)).toEqual([1, 2, 3])
    expect(outputs).toEqual([
      [1, 10],
      [3, 30],
      [2, 20],
    ])
  })

  test('takes nothing any more from the job it had before', () => {
    const { start, finish, outputs, stopped } = node()
    const first = start(1, 0)
    finish(1, 10)
    const second = start(2, 0)
    first.stop()
    first.send({ type: 'value' })
    finish(1, 11)
    expect([outputs, stopped]).toEqual([[[1, 10]], []])
    second.stop()
    expect(stopped).toEqual([second.ref])
    expect(start(3, 0).ref).not.toBe(second.ref)
  })

  test('ends with its job where somebody looks on, or has subscribed', () => {
    const { root, start, finish, outputs } = node()
    const watched = start(1, 0)
    const seen: string[] = []
    watched.ref.subscribe({ complete: () => seen.push('complete') })
    finish(1, 10)
    expect([watched.ref.getSnapshot(), seen]).toMatchObject([{ status: 'done', output: [1, 10] }, ['complete']])
    const rests = start(2, 0)
    finish(2, 20)
    ;(root.system as { [tellsSteps]?: boolean })[tellsSteps] = true
    const own = start(3, 0)
    finish(3, 30)
    expect([own.ref === rests.ref, own.ref.getSnapshot()]).toMatchObject([false, { status: 'done', output: [3, 30] }])
    ;(root.system as { [tellsSteps]?: boolean })[tellsSteps] = false
    expect(start(4, 0).ref).toBe(rests.ref)
    expect(outputs).toEqual([
      [1, 10],
      [2, 20],
      [3, 30],
    ])
  })
})
