import { isJob, type Entry } from './entry.ts'
import type { Hub } from './hub.ts'
import { nodeRow } from './node-row.ts'
import { eventRow } from './event-row.ts'

/** Actors that a page is told of unasked. */
export const MOST_ACTORS = 5_000

/** The first picture: all but jobs, and of actors as many as anybody reads. */
export function helloOf(
  hub: Hub,
  control: string | undefined,
  told: (entry: Entry) => void,
): { readonly text: { readonly frame: string; readonly charts: readonly string[] }; readonly seq: number } {
  const { book, charts, inspected, ring, samples, showing } = hub
  const rows: string[] = []
  for (const entry of book.entries.values()) {
    if (isJob(entry)) continue
    if (entry.kind === 'actor' && rows.length >= MOST_ACTORS) continue
    const row = nodeRow(entry, charts, showing)
    told(entry)
    rows.push(JSON.stringify(row))
  }
  const hashes = [...charts.known]
  const failures = inspected.system.failures().filter(({ path }) => book.isShown(path))
  const system = {
    root: showing.text(inspected.name),
    pid: process.pid,
    node: process.version,
    startedAt: Math.round(Date.now() - process.uptime() * 1_000),
    since: hub.since,
    control: control ?? false,
    stately: hub.hasBridge,
  }
  const frame = [
    `{"type":"hello","version":1,"at":${Date.now()},"system":${JSON.stringify(system)}`,
    `"charts":{${hashes.map((hash) => `"${hash}":${charts.textOf(hash)}`).join(',')}}`,
    `"nodes":[${rows.join(',')}]`,
    `"failures":[${failures.map((failure) => hub.failures.show(failure)).join(',')}]`,
    `"events":[${ring
      .after(0)
      .map((happened) => eventRow(happened, showing))
      .join(',')}]`,
    `"stats":${JSON.stringify(samples.all)}}`,
  ].join(',')
  return { text: { frame, charts: hashes }, seq: ring.last }
}
