/** A failure climbs from supervisor to supervisor until one decides; the last is the root catch. */
import { actor, escalate, restart, resume, start, supervisor, task } from 'rootcatch'
import { setup } from 'xstate'

class ConfigError extends Error {}

const inventory = setup({
  types: { events: {} as { type: 'sell' } | { type: 'reload'; config: string } },
  actions: {
    check: ({ event }) => {
      if (event.type === 'reload' && event.config === '') throw new ConfigError('the config is empty')
      if (event.type === 'sell') throw new RangeError('nothing on the shelf')
    },
  },
}).createMachine({
  initial: 'open',
  states: { open: { on: { sell: { actions: 'check' }, reload: { actions: 'check' } } } },
})

const resize = task('resize', async (picture: string) => {
  throw new Error(`cannot read ${picture}`)
})

const storefront = supervisor(
  'storefront',
  { catch: (failure) => (failure.error instanceof ConfigError ? escalate : restart) },
  [actor('inventory', inventory)],
)
const media = supervisor('media', [resize])

const system = await start(supervisor('app', { strategy: 'one-for-all' }, [storefront, media]), {
  catch: (failure) => {
    console.log(`root catch: ${failure.path}: ${String(failure.error)}`)
    return resume
  },
})
system.on('actor.started', ({ path, generation }) => console.log(`  started ${path}, generation ${generation}`))
system.on('failure.decided', ({ failure }) => {
  console.log(failure.trail.map(({ path, decision, by }) => `${path || 'root catch'}: ${decision} (${by})`).join(', '))
})

const [shelf] = system.supervisor('app/storefront').children()
shelf?.ref.send({ type: 'sell' }) // storefront restarts it
await restarted(1)
shelf?.ref.send({ type: 'reload', config: '' }) // storefront hands it up, and app restarts both
await restarted(4)
await system.run(resize, 'cat.png').settled() // nobody decides below the root catch
await system.stop()

/** Once so many more children have started. */
function restarted(count: number): Promise<void> {
  return new Promise((resolve) => {
    let left = count
    system.on('actor.started', function counted() {
      left -= 1
      if (left > 0) return
      system.off('actor.started', counted)
      resolve()
    })
  })
}

// prints:
// app/storefront: restart (catch)
//   started app/storefront/inventory, generation 2
// app/storefront: escalate (catch), app: restart (restart type)
//   started app/storefront/inventory, generation 3
//   started app/storefront, generation 2
//   started app/media/resize, generation 2
//   started app/media, generation 2
// root catch: app/media/resize/job:1: Error: cannot read cat.png
// app/media: escalate (default), app: escalate (default), root catch: resume (catch)
