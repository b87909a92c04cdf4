import type { Owner } from '../owner.ts'
import type { Json } from '../payload.ts'
import type { SharedEnding } from './crawl-end.ts'

/** A process that takes part in a crawl. */
export interface Member {
  /** When it counts as gone, unless it says something before. */
  readonly until: number
  readonly owner: Owner
  /** Whether somebody there waits for the end of the crawl. */
  readonly asks: boolean
  /** Whether it asks for turns where all do; one that is alone keeps them to itself. */
  readonly shares: boolean
}

/** A crawl as the processes that take part in it agree on it. */
export interface CrawlRecord {
  readonly state: 'crawling' | 'ended' | 'clearing'
  readonly ending: SharedEnding | null
  /** Who reads `start`. */
  readonly seeder: string
  readonly isSeeded: boolean
  /** Who reads the items of all. */
  readonly reader: string | null
  /** Whether more items wait for the reader than are kept. */
  readonly isFull: boolean
  readonly members: Readonly<Record<string, Member>>
}

/** Who a record is read for. */
export interface Reader {
  readonly id: string
  readonly now: number
  isGone(owner: Owner): boolean
}

/** As JSON has it. */
export const asJson = (record: CrawlRecord): Json => record as unknown as Json

/** Those that live, as far as anybody can say. Who reads it lives. */
export function living({ members }: CrawlRecord, { id, now, isGone }: Reader): Readonly<Record<string, Member>> {
  const entries = Object.entries(members)
  return Object.fromEntries(
    entries.filter(([other, { until, owner }]) => other === id || (until > now && !isGone(owner))),
  )
}

export function beginning(id: string, me: Member): CrawlRecord {
  const shared = { ending: null, isSeeded: false, reader: null, isFull: false } as const
  return { state: 'crawling', seeder: id, ...shared, members: { [id]: me } }
}

/** Whether all others ask for their turns where all do, so that who comes may begin. */
export function areShared({ members }: CrawlRecord, id: string): boolean {
  return Object.entries(members).every(([other, { shares }]) => other === id || shares)
}

export function without(record: CrawlRecord, id: string): CrawlRecord {
  const others = Object.entries(record.members).filter(([other]) => other !== id)
  return { ...record, members: Object.fromEntries(others) }
}
