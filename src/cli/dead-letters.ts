import type { Broker, DeadLetter, DeadLetterFilter } from '../brokers/broker.ts'

/** A page of dead letters, newest first, and whether there are more. */
export async function pageOf(
  broker: Broker,
  filter: DeadLetterFilter,
  limit: number,
): Promise<{ readonly letters: readonly DeadLetter[]; readonly isMore: boolean }> {
  const letters = await broker.deadLetters({ ...filter, limit: limit + 1 })
  return { letters: letters.slice(0, limit), isMore: letters.length > limit }
}

/** All that match, by id. Read before anything is changed, so what dies meanwhile is not among them. */
export async function idsOf(broker: Broker, filter: DeadLetterFilter): Promise<readonly string[]> {
  const { limit = Infinity, ...rest } = filter
  const ids: string[] = []
  for (let cursor: string | undefined; ids.length < limit;) {
    const page = await broker.deadLetters({ ...rest, limit: Math.min(PAGE, limit - ids.length) }, cursor)
    ids.push(...page.map(({ id }) => id))
    cursor = page.at(-1)?.cursor
    if (cursor === undefined) break
  }
  return ids
}

/** Letters keep their inputs: so many at once are held, however many there are. */
const PAGE = 200
