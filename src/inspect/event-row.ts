import { PAGE_LIMITS, type Limits } from './plain.ts'
import type { Happened } from './ring.ts'
import type { Showing } from './showing.ts'

const EVENT_LIMITS: Limits = { ...PAGE_LIMITS, depth: 4, keys: 20, items: 20, text: 300, parts: 200 }

/** What happened as the page gets it, made once for all who look. */
export function eventRow(happened: Happened, showing: Showing): string {
  happened.shown ??= JSON.stringify({
    seq: happened.seq,
    at: happened.at,
    kind: happened.kind,
    type: showing.text(happened.type),
    path: showing.text(happened.path),
    from: happened.from?.id,
    source: happened.from && showing.text(happened.from.path),
    to: happened.to?.id,
    data: showing.payload(dataOf(happened), happened.path, 'event', EVENT_LIMITS),
    ...(happened.handled === false && { handled: false }),
  })
  return happened.shown
}

/** What says no more than the row itself is left out. */
function dataOf({ data }: Happened): unknown {
  if (typeof data !== 'object' || data === null) return data
  const rest: Record<string, unknown> = { ...data }
  for (const key of ['type', 'at', 'path']) delete rest[key]
  if (Object.keys(rest).length === 0) return undefined
  if ('failure' in rest && rest['failure'] instanceof Error) return { ...rest, failure: rest['failure'].message }
  return rest
}
