import type { Tree } from '../actors/tree.ts'
import { sharedEnding, type Ending, type SharedEnding } from './crawl-end.ts'
import type { CrawlRecord } from './crawl-record.ts'
import { CrawlRunningError } from './errors.ts'
import { Fleet } from './fleet.ts'
import { ItemRelay } from './item-relay.ts'
import type { ItemStream } from './items.ts'
import type { Politeness } from './politeness.ts'
import { SharedRobots } from './shared-robots.ts'
import { SharedTurns } from './shared-turns.ts'
import type { CrawlStore } from './store.ts'

/** How often the numbers of the others are read. */
const NUMBERS_EVERY = 1_000

/** What taking part needs of its crawl. */
export interface PartCrawl {
  readonly tree: Tree
  /** Of the spider; names its queue. */
  readonly path: string
  readonly items: ItemStream
  readonly isCrawling: boolean
  readonly isOver: boolean
  seed(): void
  /** Others are there from now on. */
  shares(): void
  itemsChanged(): void
  maybeOver(): void
  allDone(): void
  endElsewhere(ending: SharedEnding): void
}

/** What a crawl does in one process so that others can take part: who reads `start`, who has the items, when all is over. */
export class FleetPart {
  isAsked = true
  readonly #crawl: PartCrawl
  readonly #store: CrawlStore
  readonly #fleet: Fleet
  #politeness: Politeness | undefined
  #relay: ItemRelay | undefined
  #isEntered = false
  #isSeeding = false
  #isCounting = false
  #numbersAt = 0
  #told: Promise<void> = Promise.resolve()
  #ending: Ending | undefined

  /** Undefined where no other process can take part. */
  static of(crawl: PartCrawl, store: CrawlStore): FleetPart | undefined {
    const fleet = Fleet.of(crawl.tree, crawl.path)
    return fleet && new FleetPart(crawl, store, fleet)
  }

  constructor(crawl: PartCrawl, store: CrawlStore, fleet: Fleet) {
    this.#crawl = crawl
    this.#store = store
    this.#fleet = fleet
  }

  get isShared(): boolean {
    return this.#fleet.isShared
  }

  get isSeeded(): boolean {
    return this.#fleet.record?.isSeeded === true
  }

  get isSeeder(): boolean {
    return this.#fleet.isSeeder
  }

  /** Whether somebody in another process reads the items of all. */
  get isReadElsewhere(): boolean {
    const { id, record } = this.#fleet
    const reader = record?.reader ?? null
    return !this.#crawl.items.isRead && reader !== null && reader !== id
  }

  /** Whether the one who reads them has enough. */
  get isFull(): boolean {
    return this.isReadElsewhere && this.#fleet.record?.isFull === true
  }

  /** How many requests are not over; undefined where there is nothing to take part in. */
  async enter(fresh: boolean, isAsked: boolean): Promise<number | undefined> {
    const [fleet, store, crawl] = [this.#fleet, this.#store, this.#crawl]
    this.isAsked = isAsked
    const how = await fleet.enter({
      asks: isAsked,
      fresh,
      isWanted: () => this.#ending === undefined,
      refuses: () => new CrawlRunningError(crawl.path, store.total.get('page')),
      clear: () => store.forget(),
    })
    if (how === 'nothing') return undefined
    this.#isEntered = true
    if (this.#ending !== undefined) this.ending(this.#ending)
    if (how === 'alone') return store.open(false, fleet.id)
    await store.join(fleet.id)
    return store.countOpen()
  }

  /** Where the processes keep what sites say to crawlers. */
  get robots(): SharedRobots {
    const { tree, path } = this.#crawl
    return new SharedRobots({ broker: tree.broker, path, clock: tree.clock, fleet: this.#fleet })
  }

  async begin(politeness: Politeness): Promise<void> {
    const { tree, path } = this.#crawl
    const { broker, clock, random } = tree
    const fleet = this.#fleet
    this.#politeness = politeness
    const share = (): Promise<void> => politeness.share(new SharedTurns({ broker, path, clock, random, fleet }))
    if (fleet.isShared) await share()
    this.#isSeeding = fleet.isSeeder
    await this.#tellOfItems()
    fleet.begin({
      share: async () => {
        await share()
        await this.#store.lookAtOthers()
        this.#crawl.shares()
      },
      looked: (record) => void this.#looked(record).catch(() => {}), // the broker is away; it is looked at again
      endedElsewhere: (ending) => this.#crawl.endElsewhere(ending),
    })
  }

  /** Somebody here waits for the end, too. */
  asked(): void {
    this.isAsked = true
    if (this.#isEntered) void this.#fleet.ask().catch(() => {}) // it is said with the next look
  }

  /** Nothing runs here: perhaps nowhere. */
  idle(hasSeeded: boolean): void {
    if (this.#isCounting) return
    this.#isCounting = true
    void this.#count(hasSeeded)
      .catch(() => {}) // the broker is away; it is counted again
      .finally(() => (this.#isCounting = false))
  }

  /** The others are told how it ended, if that is their end, too. */
  ending(ending: Ending): void {
    this.#ending = ending
    const shared = sharedEnding(ending)
    if (shared === undefined || !this.#isEntered) return
    this.#told = this.#fleet.say({ state: 'ended', ending: shared }).catch(() => {})
  }

  /** Nothing of it runs here any more. Who waits for it stays to the end, so that its numbers are those of all. */
  async leave(forgets: boolean): Promise<void> {
    if (!this.#isEntered) return
    const [fleet, store] = [this.#fleet, this.#store]
    await this.#told
    await this.#politeness?.settled()
    await store.write()
    const isOver = this.#ending?.kind !== 'stopped'
    if (isOver && this.isAsked) {
      await fleet.untilOthersLeft()
      if (forgets) await this.#relay?.drained()
      await store.lookAtOthers()
      if (forgets && isDone(this.#ending)) store.reconcileTotal()
    }
    this.#relay?.end()
    const isLast = await fleet.leave(forgets)
    if (isLast && forgets) await store.forget()
  }

  async #looked(record: CrawlRecord): Promise<void> {
    const crawl = this.#crawl
    const [fleet, store] = [this.#fleet, this.#store]
    const { now } = crawl.tree.clock
    if (this.isShared && now() - this.#numbersAt >= NUMBERS_EVERY) {
      this.#numbersAt = now()
      await store.lookAtOthers()
    }
    await this.#tellOfItems()
    const isSeederGone = !record.isSeeded && record.members[record.seeder] === undefined
    if (isSeederGone && !this.#isSeeding) await fleet.say({ seeder: fleet.id })
    if (fleet.isSeeder && !this.#isSeeding) {
      this.#isSeeding = true
      await store.lookAtOthers()
      if (crawl.isCrawling) crawl.seed()
    }
    crawl.itemsChanged()
    crawl.maybeOver()
  }

  /** Who reads here gets the items of all. */
  async #tellOfItems(): Promise<void> {
    const [fleet, { items, tree, path }] = [this.#fleet, this.#crawl]
    const { record } = fleet
    if (record === undefined) return
    const isFree = record.reader === null || record.members[record.reader] === undefined
    if (items.isRead && isFree) await fleet.say({ reader: fleet.id, isFull: items.isFull })
    if (fleet.record?.reader !== fleet.id) return
    if (items.isRead) this.#relay ??= new ItemRelay(tree, path, items)
    if (!items.isRead) await fleet.say({ reader: null, isFull: false })
    else if (record.isFull ? items.hasRoom : items.isFull) await fleet.say({ isFull: !record.isFull })
  }

  async #count(hasSeeded: boolean): Promise<void> {
    const [fleet, store, crawl] = [this.#fleet, this.#store, this.#crawl]
    if (hasSeeded && fleet.isSeeder && fleet.record?.isSeeded === false) await fleet.say({ isSeeded: true })
    // First whether all of `start` is queued: after that only what is not over adds to it.
    if (fleet.record?.isSeeded !== true || (await store.countOpen()) > 0) return
    await store.lookAtOthers()
    crawl.allDone()
  }
}

const isDone = (ending: Ending | undefined): boolean =>
  ending?.kind === 'done' || (ending?.kind === 'elsewhere' && ending.ending.kind === 'done')
