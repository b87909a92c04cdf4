/** What one dynamic child costs, start and stop, beside 1 000 and beside 8 000 others; and 100 000 in one run. */
import { actor, start, supervisor, type ChildRef, type System } from 'rootcatch'
import { setup } from 'xstate'

const isSmoke = process.argv.includes('--smoke')
const ROUNDS = isSmoke ? 3 : 7
const SAMPLE = 500
const MANY = isSmoke ? 20_000 : 100_000
const ALLOWED_RATIO = 2

const visitor = setup({}).createMachine({ initial: 'here', states: { here: {} } })
const definition = actor('visitor', visitor)

const few = await crowd(1_000)
const many = await crowd(8_000)
await sample(few) // warm-up
await sample(many)
const ratios: number[] = []
for (let round = 1; round <= ROUNDS; round += 1) {
  const besideFew = await sample(few)
  const besideMany = await sample(many)
  ratios.push(besideMany / besideFew)
  console.log(
    `round ${round}: ${besideFew.toFixed(1)} µs beside 1 000, ${besideMany.toFixed(1)} µs beside 8 000, ratio ${(besideMany / besideFew).toFixed(2)}`,
  )
}
const median = ratios.toSorted((a, b) => a - b)[ROUNDS >> 1] as number
console.log(`a child beside 8 000 others costs ${median.toFixed(2)} times one beside 1 000, allowed ${ALLOWED_RATIO}`)
await few.stop()
await many.stop()

const empty = await start(supervisor('app', [supervisor('visitors', [])]))
const begin = performance.now()
await spawn(empty, MANY)
const spawned = performance.now()
const { dynamic } = empty.supervisor('app/visitors').count()
await empty.stop()
const stopped = performance.now()
console.log(
  `${dynamic} children: started in ${((spawned - begin) / 1_000).toFixed(2)} s, stopped in ${((stopped - spawned) / 1_000).toFixed(2)} s`,
)
if (median >= ALLOWED_RATIO || dynamic !== MANY) process.exitCode = 1

async function crowd(size: number): Promise<System> {
  const system = await start(supervisor('app', [supervisor('visitors', [])]))
  await spawn(system, size)
  return system
}

async function spawn(system: System, count: number): Promise<readonly ChildRef[]> {
  const refs: ChildRef[] = []
  for (let index = 0; index < count; index += 1) refs.push(await system.spawn(definition, { under: 'app/visitors' }))
  return refs
}

/** Microseconds per child, started and stopped again. */
async function sample(system: System): Promise<number> {
  globalThis.gc?.()
  const from = performance.now()
  const refs = await spawn(system, SAMPLE)
  const visitors = system.supervisor('app/visitors')
  for (const { path } of refs) await visitors.stopChild(path.slice(path.lastIndexOf('/') + 1))
  return ((performance.now() - from) * 1_000) / SAMPLE
}
