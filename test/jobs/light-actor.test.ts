import { expect, test } from 'vitest'
import { assign, createActor, fromCallback, fromTransition, setup } from 'xstate'
import { Host, toChartLogic, type AnyActorScope } from '../../src/actors/chart.ts'
import type { Stay } from '../../src/actors/effect.ts'
import { allowLightActors, type ChartOwner } from '../../src/actors/light-actor.ts'
import { owner as ownerKey, relayToOwners } from '../../src/actors/owner-relay.ts'

type Add = { readonly type: 'add'; readonly value: number }

const machine = setup({
  types: { context: {} as { readonly sum: readonly number[] }, events: {} as Add },
  actors: { work: fromCallback(() => {}) },
  guards: { isLast: ({ event }) => event.value === 4 },
  actions: { add: assign({ sum: ({ context, event }) => [...context.sum, event.value] }) },
}).createMachine({
  context: { sum: [] },
  initial: 'adding',
  states: {
    adding: {
      invoke: { src: 'work' },
      on: { add: [{ guard: 'isLast', target: 'done', actions: 'add' }, { actions: 'add' }] },
    },
    done: { type: 'final', output: ({ context }) => context.sum },
  },
  output: ({ event }) => event.output,
})

test.each([1, 2, 4])('takes what comes while it works in its order, from %s on', (first) => {
  const root = createActor(fromTransition((state: object) => state, {}))
  allowLightActors(root.system)
  relayToOwners(root.system) // for the actors of XState, where `ROOTCATCH_ACTORS` asks for those
  root.start()
  const host = Host.of({ self: root, stopChild: () => {} } as unknown as AnyActorScope)
  const values = [1, 2, 3, 4].slice(first - 1)
  const work = (_: unknown, stay: Stay<Add>): undefined => {
    for (const value of values) stay.send({ type: 'add', value })
  }
  const outputs: unknown[] = []
  const over = (output: unknown): unknown => outputs.push(output)
  const owner: ChartOwner & { ownedInput: object } = { name: 'sum', input: {}, ownedInput: {}, over }
  Object.assign(owner.ownedInput, { [ownerKey]: owner })
  host.startChart(toChartLogic(machine, { work } as never, false), owner)
  expect(outputs).toEqual([values])
})
