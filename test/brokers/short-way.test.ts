import { Redis } from 'ioredis'
import { createRequire } from 'node:module'
import { bullmq } from 'rootcatch/bullmq'
import { manualClock, type ManualClock } from 'rootcatch/testing'
import { describe, expect, test } from 'vitest'
import type { Broker, LeasedJob, NewJob, Outcome } from '../../src/brokers/broker.ts'
import { newJob, outcomes, queue } from '../support/broker-job.ts'
import { redisMissing, sharedRedis } from '../support/redis.ts'

describe.skipIf(redisMissing)(`plain jobs${redisMissing === undefined ? '' : `: ${redisMissing}`}`, () => {
  const address = sharedRedis()

  test('leave Redis, by their short way, as the way of the engine leaves it: key by key, event by event', async () => {
    const lives: Life[] = []
    for (const isShort of [true, false]) {
      lives.push(await live({ ...address() }, `store-${lives.length}`, isShort)) // from one line: it stands in stacks
    }
    const [short, long] = lives as [Life, Life]
    expect(short.given).toEqual(long.given)
    expect(Object.keys(short.keys).length).toBeGreaterThan(50)
    expect(short.keys).toEqual(long.keys)
  })
})

type Connection = { readonly path: string } | { readonly url: string }

interface Life {
  readonly given: readonly unknown[]
  readonly keys: Readonly<Record<string, unknown>>
}

interface Scripts {
  readonly moveToActive: { content: string }
}

/** Beside scripts of the engine that it does not know, the short way is off. */
async function live(connection: object, prefix: string, isShort: boolean): Promise<Life> {
  const clock = manualClock(1_700_000_000_000)
  const broker = bullmq({ connection: connection as never, prefix, poll: '1h', keepResults: { last: 1_000 } })
  const scripts = createRequire(import.meta.url)('bullmq/dist/cjs/scripts/index.js') as Scripts
  const script = scripts.moveToActive
  const { content } = script
  if (!isShort) script.content = `${content}\n`
  await broker.open(clock)
  script.content = content
  const given = await happen(broker, clock)
  const keys = await dump(connection as Connection, prefix)
  await broker.close()
  return { given, keys }
}

/** What a worker, callers and a clock might do, by chance and always the same. */
async function happen(broker: Broker, clock: ManualClock): Promise<readonly unknown[]> {
  const pick = dice(7)
  const given: unknown[] = []
  let held: LeasedJob[] = []
  for (let round = 0; round < 250; round += 1) {
    const jobs = Array.from({ length: pick(6) }, (): Partial<NewJob> => {
      const odd = pick(12)
      if (odd === 0) return { delay: pick(2_000) }
      if (odd === 1) return { lane: `lane ${pick(2)}` }
      if (odd === 2) return { dedupe: { key: `key ${pick(3)}`, for: undefined } }
      return { priority: pick(3) - 1, input: pick(4) === 0 ? null : { text: 'x'.repeat(pick(100)) } }
    })
    const settled = held.splice(0, pick(6)).map((lease): Outcome => {
      const kind = pick(10)
      if (kind === 0) return outcomes.retry(lease, pick(500))
      if (kind === 1) return outcomes.failed(lease)
      if (kind === 2) return outcomes.fallback(lease)
      if (kind === 3) return { id: lease.id, token: lease.token, kind: 'release' }
      return outcomes.done(lease, kind === 4 ? null : { n: round })
    })
    const [added, answers] = await Promise.all([
      broker.enqueue(jobs.map((job) => newJob(broker, job))),
      broker.settle(settled),
    ])
    const leases = await broker.lease(queue, pick(5) + 1)
    held = [...held, ...leases]
    given.push(added, answers, leases)
    await clock.advance(pick(3) === 0 ? pick(20_000) : 0)
  }
  return given
}

function dice(seed: number): (sides: number) => number {
  let state = seed
  return (sides) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor((state / 2_147_483_648) * sides)
  }
}

/** What it holds, without what the two ways may do each as it likes: `docs/decisions/032-…`. */
async function dump(connection: Connection, prefix: string): Promise<Readonly<Record<string, unknown>>> {
  const redis = 'url' in connection ? new Redis(connection.url) : new Redis(connection)
  const found: Record<string, unknown> = {}
  for (const key of (await redis.keys(`{${prefix}}:*`)).toSorted()) {
    const name = key.slice(prefix.length + 3)
    if (/:(?:marker|id|~finished)$|^~processes$/.test(name)) continue
    found[name] = await read(redis, key)
  }
  redis.disconnect()
  return found
}

async function read(redis: Redis, key: string): Promise<unknown> {
  const floored = (text: string): string => text.replace(/^(\d{13})\.\d+$/, '$1')
  switch (await redis.type(key)) {
    case 'hash': {
      const fields = Object.entries(await redis.hgetall(key)).filter(([field]) => field !== 'concurrency')
      const entries = fields.map(([field, text]) => {
        return [field, field === 'opts' ? JSON.parse(text) : floored(text)] as const
      })
      return Object.fromEntries(entries)
    }
    case 'zset':
      return pairsOf((await redis.zrange(key, '0', '-1', 'WITHSCORES')).map(floored))
    case 'list':
      return redis.lrange(key, 0, -1)
    case 'set':
      return (await redis.smembers(key)).toSorted()
    case 'stream':
      return (await redis.xrange(key, '-', '+')).map(([, fields]) => fields).slice(-300)
    default:
      return redis.get(key)
  }
}

/** By score, then by member: those that ended in one millisecond have no order that both ways would have to share. */
function pairsOf(flat: readonly string[]): readonly string[] {
  const pairs = flat.flatMap((member, index) => (index % 2 === 0 ? [`${flat[index + 1]} ${member}`] : []))
  return pairs.toSorted()
}
