/** Actors are spawned in code, watched, stopped and forgotten while the system runs. */
import { actor, start, supervisor } from 'rootcatch'
import { assign, setup } from 'xstate'

const session = setup({
  types: {
    context: {} as { user: string; clicks: number },
    input: {} as { user: string },
    events: {} as { type: 'click' | 'leave' },
  },
}).createMachine({
  context: ({ input }) => ({ user: input.user, clicks: 0 }),
  initial: 'browsing',
  states: {
    browsing: { on: { click: { actions: assign({ clicks: ({ context }) => context.clicks + 1 }) }, leave: 'gone' } },
    gone: { type: 'final' },
  },
})

const system = await start(supervisor('shop', [supervisor('sessions', [])]))
const sessions = system.supervisor('shop/sessions')

const spawnSession = (user: string) =>
  system.spawn(actor('session', session, { input: { user }, restart: 'temporary' }), { under: 'shop/sessions' })
const ann = await spawnSession('Ann')
const bob = await spawnSession('Bob')
ann.send({ type: 'click' })
ann.send({ type: 'click' })
console.log(ann.path, ann.getSnapshot().context)
console.log(bob.path, bob.getSnapshot().context)

ann.send({ type: 'leave' }) // a temporary child that ended is forgotten
console.log(sessions.children().map(({ name, status }) => `${name} ${status}`))
await sessions.stopChild('session:2')
console.log(sessions.count())

system.on('message.dropped', ({ path, event, reason }) => console.log(path, event, reason))
bob.send({ type: 'click' }) // reaches nobody, and is no error
await system.stop()

// prints:
// shop/sessions/session:1 { user: 'Ann', clicks: 2 }
// shop/sessions/session:2 { user: 'Bob', clicks: 0 }
// [ 'session:2 running' ]
// {
//   total: 0,
//   running: 0,
//   restarting: 0,
//   stopped: 0,
//   supervisors: 0,
//   dynamic: 0
// }
// shop/sessions/session:2 { type: 'click' } stopped
