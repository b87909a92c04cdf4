/** A machine of your own invokes a task and a supervisor, as it invokes any other logic. */
import { actor, start, supervisor, task, toLogic } from 'rootcatch'
import { createActor, fromCallback, setup, waitFor } from 'xstate'

const charge = task('charge', { retry: { attempts: 2 } }, async (cents: number, ctx) => {
  if (ctx.attempt === 1) throw new Error('the bank was away')
  return { receipt: `paid ${cents} cents at attempt ${ctx.attempt}` }
})

const heartbeat = fromCallback(() => {
  console.log('delivery: heartbeat begins')
  return () => console.log('delivery: heartbeat ends')
})
const tracker = fromCallback(() => {
  throw new Error('no satellite')
})
const delivery = supervisor('delivery', [actor('heartbeat', heartbeat), actor('tracker', tracker)])

const order = setup({ actors: { charge: toLogic(charge), delivery: toLogic(delivery) } }).createMachine({
  initial: 'paying',
  states: {
    paying: {
      invoke: {
        src: 'charge',
        input: 1999,
        onDone: { target: 'delivering', actions: ({ event }) => console.log(event.output.receipt) },
        onError: 'refused',
      },
    },
    delivering: {
      invoke: {
        src: 'delivery',
        onError: { target: 'refused', actions: ({ event }) => console.log(String(event.error)) },
      },
    },
    refused: { type: 'final' },
  },
})

const machine = createActor(order).start()
await waitFor(machine, (snapshot) => snapshot.status === 'done')
console.log(`the order is ${String(machine.getSnapshot().value)}`)

// The same definitions under a system of their own.
const system = await start(charge)
console.log(await system.run(charge, 5))
await system.stop()

// prints:
// paid 1999 cents at attempt 2
// delivery: heartbeat begins
// delivery: heartbeat ends
// Failure: delivery/tracker failed: no satellite
// the order is refused
// { receipt: 'paid 5 cents at attempt 2' }
