import { actor, start, supervisor, type ChildInfo } from 'rootcatch'
import { fromTransition } from 'xstate'

/**
 * Crashes one child again and again, each time once it is back: so many times, with so many frames in the stack of its
 * error. Prints restarts per second.
 */
const [count, frames] = process.argv.slice(2).map(Number) as [number, number]
const child = actor(
  'child',
  fromTransition((state: object, event: { readonly type: string }) => {
    if (event.type === 'crash') throw new Error('crash')
    return state
  }, {}),
)
const wide = { restarts: { limit: 1_000_000, within: '1s' } } as const
const system = await start(supervisor('app', wide, [child]))
Error.stackTraceLimit = frames

const [info] = system.supervisor('app').children()
const ref = (info as ChildInfo).ref

await crash(20_000)
const before = performance.now()
await crash(count)
console.log((count * 1_000) / (performance.now() - before))
process.exit(0)

function crash(times: number): Promise<void> {
  return new Promise((resolve) => {
    let left = times
    const again = (): void => {
      if (left === 0) {
        system.off('actor.started', again)
        return resolve()
      }
      left -= 1
      ref.send({ type: 'crash' })
    }
    system.on('actor.started', again)
    again()
  })
}
