import { guarded } from '../evidence.ts'
import type { Entry } from './entry.ts'
import type { Hub } from './hub.ts'

/** The frame about the node that is looked at: all that its row has no room for. */
export function detailOf(entry: Entry, hub: Pick<Hub, 'showing' | 'firedOf'>): string {
  const { showing } = hub
  const { id, path, actor } = entry
  const snapshot = guarded(() => actor?.snapshot(), undefined)
  const input = guarded(() => actor?.input, undefined)
  const part = (name: 'context' | 'output' | 'error'): unknown =>
    snapshot?.[name] === undefined ? undefined : showing.payload(snapshot[name], path, name)
  return JSON.stringify({
    type: 'detail',
    id,
    at: Date.now(),
    status: snapshot?.status,
    context: part('context'),
    input: input === undefined ? undefined : showing.payload(input, path, 'input'),
    output: part('output'),
    error: part('error'),
    fired: [...hub.firedOf(entry)],
  })
}
