import type { Tree } from '../actors/tree.ts'
import type { LeasedJob, NewJob } from '../brokers/broker.ts'
import type { Json } from '../payload.ts'
import type { ItemStream } from './items.ts'
import { itemsQueue } from './store.ts'

/** Pages whose items are fetched at once. */
const AT_ONCE = 32
/** A step whose answer was lost comes again, and its items with it. */
const REMEMBERED_FOR = 3_600_000
/** How long a broker that did not answer is left alone. */
const BROKER_AWAY = 1_000

/** Brings the items of pages that other processes handled to who reads the crawl here. */
export class ItemRelay {
  readonly #tree: Tree
  readonly #queue: string
  readonly #items: ItemStream
  readonly #unwatch: () => void
  #fetching: Promise<void> | undefined
  #isAsked = false
  #isOver = false

  constructor(tree: Tree, path: string, items: ItemStream) {
    this.#tree = tree
    this.#queue = itemsQueue(path)
    this.#items = items
    this.#unwatch = tree.broker.watch(this.#queue, () => this.#fetch())
    this.#fetch()
  }

  /** Stops where it is; what was not read stays where it waits. */
  end(): void {
    this.#isOver = true
    this.#unwatch()
  }

  /** Resolves when nothing waits any more, and all of it was read; nobody may add to it meanwhile. */
  async drained(): Promise<void> {
    this.#fetch()
    while (this.#fetching !== undefined) await this.#fetching
    this.end()
  }

  #fetch(): void {
    this.#isAsked = true
    if (this.#isOver || this.#fetching !== undefined) return
    this.#fetching = this.#fetchAll().finally(() => {
      this.#fetching = undefined
      if (this.#isAsked) this.#fetch()
    })
  }

  async #fetchAll(): Promise<void> {
    const { broker, clock } = this.#tree
    while (this.#isAsked && !this.#isOver) {
      this.#isAsked = false
      try {
        const leases = await broker.lease(this.#queue, AT_ONCE)
        if (leases.length > 0) this.#isAsked = true
        await this.#give(leases)
      } catch {
        this.#isAsked = true
        await new Promise<void>((resolve) => void clock.setTimeout(resolve, BROKER_AWAY))
      }
    }
  }

  /** Kept until they were read, however long that takes. */
  async #give(leases: readonly LeasedJob[]): Promise<void> {
    const { broker, clock } = this.#tree
    const beat = (): unknown =>
      clock.setTimeout(() => {
        void Promise.resolve(broker.extend(leases)).catch(() => {})
        timer = beat()
      }, broker.leaseTime / 3)
    let timer = leases.length > 0 ? beat() : undefined
    try {
      for (const { id, token, input } of leases) {
        const given = this.#items.give(input as readonly Json[], true)
        const outcome = await (given ?? Promise.reject(new Error('nobody reads'))).then(
          () => ({ id, token, kind: 'done', attempts: 1, value: null }) as const,
          () => ({ id, token, kind: 'release' }) as const,
        )
        if (outcome.kind === 'release') this.#isOver = true
        await broker.settle([outcome])
      }
    } finally {
      clock.clearTimeout(timer)
    }
  }
}

/** The items of a page as what waits for their reader. */
export function relayed(tree: Tree, path: string, items: readonly Json[]): NewJob {
  const id = tree.broker.newId()
  const queue = itemsQueue(path)
  const idempotencyKey = `${queue}/job:${id}`
  const dedupe = { key: id, for: REMEMBERED_FOR }
  return { id, queue, input: [...items], idempotencyKey, priority: 0, delay: 0, lane: undefined, dedupe }
}
