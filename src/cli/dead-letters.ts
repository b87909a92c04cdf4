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

/** All that match, by id: what dies while they are worked through is not among them. */
export async function idsOf(broker: Broker, filter: DeadLetterFilter): Promise<readonly string[]> {
  const limit = filter.limit ?? (await broker.stats()).reduce((sum, { dead }) => sum + dead, 0)
  if (limit === 0) return []
  return (await broker.deadLetters({ ...filter, limit })).map(({ id }) => id)
}
