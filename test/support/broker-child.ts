// A process of its own on a store: `node broker-child.ts <kind> <where> <what>`. Says a line for each thing it has done.
import { writeSync } from 'node:fs'
import type { Broker } from '../../src/brokers/broker.ts'
import { bullmq, type BullmqOptions } from '../../src/brokers/bullmq.ts'
import { postgres, type PostgresOptions } from '../../src/brokers/postgres.ts'
import { sqlite } from '../../src/brokers/sqlite.ts'
import { systemClock } from '../../src/clock.ts'
import { newJob, outcomes, queue } from './broker-job.ts'

const [kind, where = '', what] = process.argv.slice(2)
const options = { lostLimit: 100, keepResults: { last: 100_000 } }
const broker = openStore()
const EVERY = 20
const TICKS = 30
const say = (line: string): void => void writeSync(1, `${line}\n`)

if (what === 'open') await tryToOpen()
else if (what === 'hold') await holdOneOfEach()
else if (what === 'work') await work()
else if (what === 'tick') await tick()

/** Says what the attempt to open came to. */
async function tryToOpen(): Promise<void> {
  try {
    await broker.open(systemClock)
    say('opened')
    await broker.close()
  } catch (error) {
    say(String(error))
  }
}

/** Leaves a job in each state and waits to be killed. */
async function holdOneOfEach(): Promise<void> {
  await broker.open(systemClock)
  const all = ['done', 'dead', 'leased', 'waiting', 'delayed'].map((id) =>
    newJob(broker, { id, delay: id === 'delayed' ? 3_600_000 : 0 }),
  )
  await broker.enqueue(all)
  const [done, dead] = await broker.lease(queue, 3)
  if (done === undefined || dead === undefined) throw new Error('nothing was leased')
  await broker.settle([outcomes.done(done, 'kept'), outcomes.failed(dead)])
  say('ready')
  setInterval(() => {}, 60_000)
}

/** Works what there is, sixteen at a time, until all of it is done. */
async function work(): Promise<void> {
  await broker.open(systemClock)
  while (await isLeft(broker)) {
    const leases = await broker.lease(queue, 16)
    for (const { id } of leases) say(`took ${id}`)
    await Promise.all(
      leases.map(async (lease) => {
        const [answer] = await broker.settle([outcomes.done(lease)])
        say(`${answer === 'settled' ? 'done' : 'lost'} ${lease.id}`)
      }),
    )
    await new Promise((resolve) => setImmediate(resolve))
  }
  await broker.close()
}

/** Makes ticks as they become due, until so many are over. */
async function tick(): Promise<void> {
  await broker.open(systemClock)
  const spec = `every ${EVERY}`
  const after = (now: number): number => (Math.floor(now / EVERY) + 1) * EVERY
  let at = await broker.schedule({ queue, spec, next: after(Date.now()) })
  for (let ticks = 0; ticks < TICKS; ticks += 1) {
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, at - Date.now())))
    const next = Math.max(after(at), after(Date.now()))
    const job = newJob(broker, { id: `${queue}@${at}` })
    const answer = await broker.tick({ queue, spec, at, next, overlap: true, job })
    if (answer.answer === 'added') say(`added ${at}`)
    at = answer.answer === 'stale' ? (answer.next ?? next) : next
  }
  await broker.close()
}

async function isLeft(store: Broker): Promise<boolean> {
  const [stats] = await store.stats()
  return stats !== undefined && stats.waiting + stats.leased > 0
}

/** `where` is the path of a file, or options as JSON. */
function openStore(): Broker {
  if (kind === 'sqlite') return sqlite(where, options)
  if (kind === 'bullmq') return bullmq({ ...options, ...(JSON.parse(where) as BullmqOptions) })
  if (kind === 'postgres') return postgres({ ...options, ...(JSON.parse(where) as PostgresOptions) })
  throw new Error(`there is no broker ${kind}`)
}
