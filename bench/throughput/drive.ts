import type { Contender } from './contenders.ts'

/** How jobs come: `steady`: as many in flight as may be, refilled as they end; `backlog`: all at once, then worked off. */
export type Pattern = 'steady' | 'backlog'

export interface Load {
  readonly pattern: Pattern
  readonly inFlight: number
  readonly jobs: number
}

/** How many jobs of a backlog are added in one turn of the event loop, so that none of them is a long one. */
const ADDED_AT_ONCE = 2_000

/** Resolves when so many jobs are added, worked and settled. Refilled from a macrotask, so that the event loop turns. */
export function drive({ add }: Contender, { pattern, inFlight, jobs }: Load): Promise<void> {
  return new Promise((resolve) => {
    let [added, settled] = [0, 0]
    let isDue = false
    const room = (): number => (pattern === 'steady' ? inFlight - (added - settled) : ADDED_AT_ONCE)
    const refill = (): void => {
      isDue = false
      const more = Math.min(jobs - added, room())
      added += more
      add(more, onSettled)
      if (pattern === 'backlog') refillSoon()
    }
    const refillSoon = (): void => {
      if (isDue || added === jobs) return
      isDue = true
      setImmediate(refill)
    }
    const onSettled = (): void => {
      settled += 1
      if (settled === jobs) resolve()
      else if (pattern === 'steady') refillSoon()
    }
    refill()
  })
}
