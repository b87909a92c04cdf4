import { actor, escalate, exponential, restart, resume, supervisor, task, type Supervisor, type Task } from 'rootcatch'
import { assign, fromCallback, setup, type AnyEventObject, type AnyStateMachine } from 'xstate'

const waits = exponential({ from: '400ms', to: '3s', jitter: 0 })

const till = setup({
  types: { context: {} as { coins: number }, events: {} as { type: 'pay'; coins: number } },
}).createMachine({
  id: 'till',
  context: { coins: 0 },
  initial: 'open',
  states: {
    open: {
      on: {
        pay: {
          actions: assign(({ context, event }) => {
            if (event.coins < 0) throw new RangeError(`somebody paid ${event.coins} coins`)
            return { coins: context.coins + event.coins }
          }),
        },
      },
    },
  },
})

/** Sits until it leaves or faints. */
export const guest: AnyStateMachine = setup({
  types: {
    input: {} as { name: string },
    context: {} as { name: string },
    events: {} as { type: 'leave' } | { type: 'faint' },
  },
  actions: {
    faint: ({ context }) => {
      throw new Error(`${context.name} fainted`)
    },
  },
}).createMachine({
  id: 'guest',
  context: ({ input }) => input,
  initial: 'sitting',
  states: { sitting: { on: { leave: 'gone', faint: { actions: 'faint' } } }, gone: { type: 'final' } },
  output: ({ context }) => `${context.name} left`,
})

/** With rest-for-one: when the till crashes, the guests start anew after it. */
export const shop: Supervisor = supervisor(
  'shop',
  { strategy: 'rest-for-one', restarts: { limit: 5, within: '5s' }, backoff: waits, catch: () => restart },
  [actor('till', till), supervisor('guests', [])],
)

class NoFuel extends Error {
  override readonly name = 'NoFuel'
}

const lamp = fromCallback<AnyEventObject>(({ receive }) => {
  receive(() => {
    throw new NoFuel('the lamp is out of oil')
  })
})

/** Cannot mend its lamp, and says so to the one above, who starts all of it anew. */
export const lighthouse: Supervisor = supervisor('lighthouse', { catch: () => escalate }, [actor('lamp', lamp)])

export const send: Task<string, string> = task('send', async (to: string) => {
  throw new Error(`nobody lives at ${to}`)
})

/** Has an answer for whatever its jobs fail with. */
export const post: Supervisor = supervisor('post', { catch: () => resume('left at the harbour') }, [send])
