import { memory, type Broker } from 'rootcatch'

type Clock = Parameters<Broker['open']>[0]

/** A store that outlives systems, as a file would: each process that uses it opens a broker of its own. */
export interface KeptStore {
  /** Answers a turn later, as a store does that is not in memory. */
  broker(): Broker
  /** Ends the lease of a job as if it had run out. */
  expire(id: string): void
  /** Lets calls to settle reject until it is told otherwise. */
  isAway: boolean
  /** Holds the beginning of `enqueue`, or the answer of `lease`, until it resolves. */
  gates: { enqueue?: Promise<void>; lease?: Promise<void> }
}

interface Lease {
  readonly token: number
  readonly owner: object
  until: number
}

export function keptStore({ leaseTime = 30_000 }: { readonly leaseTime?: number } = {}): KeptStore {
  const kept = memory()
  const leases = new Map<string, Lease>()
  const wakes = new Map<string, Set<() => void>>()
  let clock: Clock

  const later = async <Value>(answer: () => Value): Promise<Awaited<Value>> => {
    await undefined
    return await answer()
  }
  const expire = (id: string): void => {
    const lease = leases.get(id)
    leases.delete(id)
    if (lease !== undefined) void kept.settle([{ id, token: lease.token, kind: 'release' }])
  }
  const expireLater = (id: string, lease: Lease): void => {
    lease.until = clock.now() + leaseTime
    const { until } = lease
    clock.setTimeout(() => leases.get(id) === lease && lease.until === until && expire(id), leaseTime)
  }

  const store: KeptStore = { isAway: false, gates: {}, expire, broker: () => makeBroker() }

  const makeBroker = (): Broker => {
    const owner = {}
    return {
      ...bound(kept),
      name: 'kept',
      durable: true,
      leaseTime,
      open: (given) => {
        clock = given
        return kept.open(given)
      },
      close: () =>
        later(() => {
          for (const [id, lease] of leases) if (lease.owner === owner) expire(id)
        }),
      watch: (queue, wake) => {
        const all = wakes.get(queue) ?? new Set()
        wakes.set(queue, all.add(wake))
        kept.watch(queue, () => all.forEach((each) => each()))
        return () => void all.delete(wake)
      },
      enqueue: async (jobs) => {
        await store.gates.enqueue
        return kept.enqueue(jobs)
      },
      lease: (queue, limit) =>
        later(async () => {
          const taken = await kept.lease(queue, limit)
          for (const { id, token } of taken) {
            const lease = { token, owner, until: 0 }
            leases.set(id, lease)
            expireLater(id, lease)
          }
          await store.gates.lease
          return taken
        }),
      extend: (asked) =>
        later(async () => {
          const answers = await kept.extend(asked)
          asked.forEach(({ id }, index) => {
            const lease = leases.get(id)
            if (answers[index] === 'settled' && lease !== undefined) expireLater(id, lease)
          })
          return answers
        }),
      settle: (outcomes) =>
        later(() => {
          if (store.isAway) throw new Error('the store is away')
          return kept.settle(outcomes)
        }),
      cancel: (id, reason) => later(() => kept.cancel(id, reason)),
      job: (id) => later(() => kept.job(id)),
    }
  }
  return store
}

/** The methods of an object, to be spread. */
function bound(broker: Broker): Broker {
  return new Proxy({} as Broker, {
    ownKeys: () => [
      'newId',
      'schedule',
      'unschedule',
      'tick',
      'stats',
      'deadLetters',
      'deadLetter',
      'replay',
      'discard',
    ],
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
    get: (_, key) => (broker as unknown as Record<PropertyKey, () => unknown>)[key]?.bind(broker),
  })
}
