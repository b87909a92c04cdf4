import { cut } from '../evidence.ts'
import type { FailureKind } from '../failure.ts'
import { isJob, type Entry } from './entry.ts'
import type { Hub } from './hub.ts'
import { PAGE_LIMITS } from './plain.ts'

type Asked = { readonly [key: string]: unknown }

const PAGE = 100

/** What a page has asked for. Rejects with a text for the reader where it asked for nonsense. */
export async function answer(asked: Asked, hub: Hub, row: (entry: Entry) => unknown): Promise<unknown> {
  switch (asked['what']) {
    case 'children':
      return children(asked, hub, row)
    case 'search':
      return search(asked, hub, row)
    case 'job':
      return job(asked, hub)
    case 'dead':
      return dead(asked, hub)
    case 'letter':
      return letter(asked, hub)
    default:
      throw new Error(`Nobody knows what "${cut(String(asked['what']), 50)}" is.`)
  }
}

function children({ id, offset }: Asked, { book }: Hub, row: (entry: Entry) => unknown): unknown {
  const from = typeof offset === 'number' && offset > 0 ? offset : 0
  const rows: unknown[] = []
  let total = 0
  for (const entry of book.entries.values()) {
    if (entry.parent?.id !== id || isJob(entry)) continue
    if (total >= from && rows.length < PAGE) rows.push(row(entry))
    total += 1
  }
  return { rows, total }
}

/** Those whose path holds the text, with all that stands above them. */
function search({ text }: Asked, { book }: Hub, row: (entry: Entry) => unknown): unknown {
  if (typeof text !== 'string' || text === '') return { rows: [], total: 0 }
  const wanted = text.toLowerCase()
  const rows = new Map<Entry, unknown>()
  let total = 0
  for (const entry of book.entries.values()) {
    if (!entry.path.toLowerCase().includes(wanted)) continue
    total += 1
    if (total > PAGE) continue
    for (let at: Entry | undefined = entry; at !== undefined && !rows.has(at); at = at.parent) rows.set(at, row(at))
  }
  return { rows: [...rows.values()], total }
}

async function job({ id, path }: Asked, { inspected, showing, book }: Hub): Promise<unknown> {
  const wanted = typeof id === 'string' ? id : typeof path === 'string' ? (path.split('/job:').at(-1) ?? '') : ''
  const record = await inspected.system.job(wanted)
  if (record === undefined || !book.isShown(record.path)) return undefined
  const { input, value, reason, history, failure, ...rest } = record
  const { path: at } = record
  return {
    ...(showing.data(rest, at, 'job') as object),
    // A plain limit of items would cut off the attempts that were last.
    history: history.slice(-200).map((entry) => showing.data(entry, at, 'history')),
    failure: failure && showing.data(failure, at, 'failure', { ...PAGE_LIMITS, depth: 8, text: 4_000 }),
    input: showing.payload(input, at, 'input'),
    output: showing.payload(value, at, 'output'),
    reason: showing.payload(reason, at, 'reason'),
  }
}

async function dead({ task, kind, cursor }: Asked, { inspected, showing, book }: Hub): Promise<unknown> {
  const filter = {
    limit: PAGE,
    ...(typeof task === 'string' && task !== '' && { task }),
    ...(typeof kind === 'string' && kind !== '' && { kind: kind as FailureKind }),
  }
  const letters = await inspected.dead.list(filter, typeof cursor === 'string' ? cursor : undefined)
  const rows = letters
    .filter(({ path }) => book.isShown(path))
    .map(({ id, path, task: of, kind: how, message, attempts, diedAt }) =>
      showing.data({ id, path, task: of, kind: how, message, attempts, diedAt }, path, 'letter'),
    )
  return { rows, cursor: letters.length === PAGE ? letters.at(-1)?.cursor : undefined }
}

async function letter({ id }: Asked, { inspected, showing, book }: Hub): Promise<unknown> {
  const found = await inspected.dead.show(String(id))
  if (found === undefined || !book.isShown(found.path)) return undefined
  const { input, failure, history, ...rest } = found
  return {
    ...(showing.data(rest, found.path, 'letter') as object),
    failure: showing.data(failure, found.path, 'failure', { ...PAGE_LIMITS, depth: 8, text: 4_000 }),
    history: history.slice(-200).map((entry) => showing.data(entry, found.path, 'history')),
    input: showing.payload(input, found.path, 'input'),
  }
}
