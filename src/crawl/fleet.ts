import { SharedWord } from '../actors/shared-word.ts'
import type { Tree } from '../actors/tree.ts'
import { isGone, thisProcess, type Owner } from '../owner.ts'
import type { Json } from '../payload.ts'
import type { SharedEnding } from './crawl-end.ts'
import { areShared, asJson, beginning, living, without, type CrawlRecord } from './crawl-record.ts'

/** How often each process looks at what the others say. */
const LOOKS_EVERY = 250
/** A process that was not heard for so many looks is taken for gone at the latest, however short leases are. */
const FEWEST_LOOKS = 8

/** How a process came into a crawl. */
export type Entry =
  /** It is the only one there. */
  | 'alone'
  /** Others are at it already. */
  | 'joined'
  /** There is none to take part in. */
  | 'nothing'

export interface Entering {
  /** Whether a crawl is begun where there is none. */
  readonly asks: boolean
  readonly fresh: boolean
  /** Whether it is still wanted. */
  isWanted(): boolean
  /** Others are at it, and it was to begin anew. */
  refuses(): Error
  /** Takes away what is left of a crawl that is over, the record as well. */
  clear(): Promise<void>
}

/** What a crawl does when the others say something. */
export interface FleetHands {
  /** Somebody else is there now: turns are asked for where all do, from when this resolves. */
  share(): Promise<void>
  looked(record: CrawlRecord): void
  endedElsewhere(ending: SharedEnding): void
}

/** The part of one process in a crawl that several work on. Each says now and then that it lives. */
export class Fleet {
  readonly id: string
  readonly #tree: Tree
  readonly #word: SharedWord<Json>
  readonly #owner: Owner = thisProcess()
  #record: CrawlRecord | undefined
  #shares = false
  #asks = false
  #hands: FleetHands | undefined
  #saidAt = -Infinity
  #timer: unknown
  #isOver = false

  /** Undefined where nobody else can have the store. */
  static of(tree: Tree, path: string): Fleet | undefined {
    return tree.broker.durable && tree.broker.listen !== undefined ? new Fleet(tree, path) : undefined
  }

  constructor(tree: Tree, path: string) {
    this.#tree = tree
    this.id = tree.broker.newId()
    this.#word = new SharedWord(tree.broker, path, 'crawl')
  }

  /** As it was when it was last looked at. */
  get record(): CrawlRecord | undefined {
    return this.#record
  }

  /** Whether others may take part. */
  get isShared(): boolean {
    return this.#shares
  }

  get isSeeder(): boolean {
    return this.#record?.seeder === this.id
  }

  async isThere(): Promise<boolean> {
    const record = (await this.#word.read()) as unknown as CrawlRecord | undefined
    return record?.state === 'crawling' && Object.keys(living(record, this.#reader())).length > 0
  }

  async enter(entering: Entering): Promise<Entry> {
    this.#asks = entering.asks
    let { fresh } = entering
    do {
      const how = await this.#tryToEnter(entering, fresh)
      if (how === 'clear') {
        await entering.clear()
        fresh = false
      } else if (how !== 'wait') return how
      else await this.#pause()
    } while (entering.isWanted())
    await this.#change((record) => record && without(record, this.id))
    return 'nothing'
  }

  /** Says more and hears the others, from now on. */
  begin(hands: FleetHands): void {
    this.#hands = hands
    this.#lookLater()
  }

  /** Somebody here waits for the end, too. */
  async ask(): Promise<void> {
    this.#asks = true
    await this.say({})
  }

  /** Changes what all agree on, while this process takes part. */
  async say(
    news: Partial<Pick<CrawlRecord, 'state' | 'ending' | 'seeder' | 'isSeeded' | 'reader' | 'isFull'>>,
  ): Promise<void> {
    await this.#change((record) => {
      if (record.state !== 'crawling' || record.members[this.id] === undefined) return undefined
      return { ...record, ...news, members: { ...record.members, [this.id]: this.#me() } }
    })
  }

  get known(): ReadonlySet<string> {
    return new Set(Object.keys(this.#record?.members ?? {}))
  }

  /** Those who take part, as they are now. */
  async members(): Promise<ReadonlySet<string>> {
    await this.#read()
    return this.known
  }

  /** Resolves when only those are left that wait for the end. */
  async untilOthersLeft(): Promise<void> {
    for (;;) {
      await this.#drop()
      const members = Object.entries(this.#record?.members ?? {})
      if (members.every(([id, { asks }]) => id === this.id || asks)) return
      await this.#pause()
    }
  }

  /** Whether it was the last: then all is to be taken away by this process, if it `forgets`. */
  async leave(forgets: boolean): Promise<boolean> {
    this.#isOver = true
    this.#tree.clock.clearTimeout(this.#timer)
    let isLast = false
    await this.#change((record) => {
      const { [this.id]: me, ...others } = living(record, this.#reader())
      isLast = Object.keys(others).length === 0
      if (!isLast) return { ...record, members: others }
      // Until it is cleared somebody is there, so that nobody begins anew in between.
      return forgets && me !== undefined ? { ...record, state: 'clearing', members: { [this.id]: this.#me() } } : null
    })
    return isLast
  }

  async #tryToEnter({ asks, refuses }: Entering, fresh: boolean): Promise<Entry | 'wait' | 'clear'> {
    let how: Entry | 'wait' | 'clear' = 'nothing'
    await this.#word.change((now) => {
      const record = now as unknown as CrawlRecord | undefined
      const members = record === undefined ? {} : living(record, this.#reader())
      const { [this.id]: me, ...others } = members
      if (record === undefined || Object.keys(others).length === 0) {
        const isHere = asks || me !== undefined // those it came to are gone meanwhile: it goes on for them
        how = isHere ? 'alone' : 'nothing'
        if (!isHere) return undefined
        this.#shares = false
        const isLeft =
          fresh || (record !== undefined && record.state !== 'crawling' && record.ending?.kind !== 'failed')
        const mine = beginning(this.id, this.#me())
        if (isLeft) how = 'clear'
        return asJson(isLeft ? { ...mine, state: 'clearing' } : mine)
      }
      how = asks ? 'wait' : 'nothing'
      if (record.state !== 'crawling') return undefined
      if (fresh) throw refuses()
      this.#shares = true
      how = areShared({ ...record, members: others }, this.id) ? 'joined' : 'wait'
      if (me !== undefined && how === 'wait') return undefined
      return asJson({ ...record, members: { ...members, [this.id]: this.#me() } })
    })
    await this.#read()
    return how
  }

  #me(): CrawlRecord['members'][string] {
    const now = this.#tree.clock.now()
    this.#saidAt = now
    return { until: now + this.#patience, owner: this.#owner, asks: this.#asks, shares: this.#shares }
  }

  get #patience(): number {
    return Math.max(this.#tree.broker.leaseTime, FEWEST_LOOKS * LOOKS_EVERY)
  }

  #reader(): Parameters<typeof living>[1] {
    return { id: this.id, now: this.#tree.clock.now(), isGone }
  }

  async #change(next: (record: CrawlRecord) => CrawlRecord | null | undefined): Promise<void> {
    const record = await this.#word.change((now) => {
      if (now === undefined) return undefined
      const to = next(now as unknown as CrawlRecord)
      return to === undefined || to === null ? to : asJson(to)
    })
    this.#record = record as unknown as CrawlRecord | undefined
  }

  async #read(): Promise<void> {
    this.#record = (await this.#word.read()) as unknown as CrawlRecord | undefined
  }

  /** Forgets those that are gone, and says that this one is not. */
  async #drop(): Promise<void> {
    await this.#read()
    const record = this.#record
    if (record === undefined) return
    const alive = Object.keys(living(record, this.#reader())).length
    const isAllSaid = this.#tree.clock.now() - this.#saidAt < this.#patience / 3
    if (alive === Object.keys(record.members).length && record.members[this.id] !== undefined && isAllSaid) return
    await this.#change((now) =>
      this.#isOver ? undefined : { ...now, members: { ...living(now, this.#reader()), [this.id]: this.#me() } },
    )
  }

  #lookLater(): void {
    if (this.#isOver) return
    const { clock, random } = this.#tree
    this.#timer = clock.setTimeout(() => void this.#look(), LOOKS_EVERY * (0.75 + random() / 4))
  }

  async #look(): Promise<void> {
    try {
      await this.#drop()
      const [record, hands] = [this.#record, this.#hands as FleetHands]
      if (this.#isOver) return
      if (record === undefined || record.state === 'clearing') {
        return hands.endedElsewhere(record?.ending ?? { kind: 'cancelled', reason: 'it was begun anew' })
      }
      if (record.state === 'ended') return hands.endedElsewhere(record.ending as SharedEnding)
      if (!this.#shares && Object.keys(record.members).length > 1) await this.#share(hands)
      hands.looked(record)
    } catch {
      // The broker is away: whoever wants something of it is told, and the next look comes.
    } finally {
      this.#lookLater()
    }
  }

  async #share(hands: FleetHands): Promise<void> {
    await hands.share()
    this.#shares = true
    await this.say({})
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => void this.#tree.clock.setTimeout(resolve, LOOKS_EVERY / 5))
  }
}
