import { equal } from 'node:assert/strict'
import { actor, start, supervisor, type ChildInfo } from 'rootcatch'
import { fromTransition, type SnapshotFrom } from 'xstate'

/** Sends to one actor under a supervisor, and looks in the end whether all have come. Prints messages per second. */
const count = Number(process.argv[2])
const sum = fromTransition((state: { sum: number }, { n }: { type: 'add'; n: number }) => ({ sum: state.sum + n }), {
  sum: 0,
})
const system = await start(supervisor('app', [actor('sum', sum)]))
const [info] = system.supervisor('app').children()
const ref = (info as ChildInfo).ref

send(count / 4)
const before = performance.now()
send(count)
console.log((count * 1_000) / (performance.now() - before))
equal((ref.getSnapshot() as SnapshotFrom<typeof sum>).context.sum, count + count / 4)
process.exit(0)

function send(times: number): void {
  for (let sent = 0; sent < times; sent += 1) ref.send({ type: 'add', n: 1 })
}
