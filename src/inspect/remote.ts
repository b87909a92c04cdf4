import type { ChartData } from '../actors/chart-data.ts'
import type { ObservedSnapshot } from '../actors/tap.ts'
import { cut } from '../evidence.ts'
import type { Entry } from './entry.ts'
import type { Hub } from './hub.ts'
import { chartOfDefinition } from './remote-chart.ts'
import type { Seen } from './seen.ts'

const MOST_ACTORS = 2_000
const MOST_A_SECOND = 5_000

/** An actor of another process, as that process tells of it. */
class RemoteActor implements Seen {
  readonly name: string
  readonly parent: string | undefined
  chart: ChartData | undefined
  readonly input: undefined = undefined
  #snapshot: ObservedSnapshot

  constructor(name: string, parent: string | undefined, chart: ChartData | undefined, snapshot: ObservedSnapshot) {
    this.name = name
    this.parent = parent
    this.chart = chart
    this.#snapshot = snapshot
  }

  snapshot(): ObservedSnapshot {
    return this.#snapshot
  }

  set latest(snapshot: ObservedSnapshot) {
    this.#snapshot = snapshot
  }
}

interface Message {
  readonly type: string
  readonly sessionId: string
  readonly [key: string]: unknown
}

/** Another process that sends the official protocol. Its ids are its own: they reach nothing of ours. */
export class RemoteProcess {
  readonly path: string
  /** What was not taken: not understood, too much, or too fast. */
  ignored = 0
  isAway = false
  readonly #hub: Hub
  readonly #actors = new Map<string, RemoteActor>()
  #second = 0
  #inSecond = 0

  constructor(hub: Hub, number: number) {
    this.#hub = hub
    this.path = `remote:${number}`
  }

  /** One frame. Nothing in it makes this throw. */
  take(text: string): void {
    const message = this.#isTooFast() ? undefined : read(text)
    if (message === undefined) {
      this.ignored += 1
      return
    }
    const { type, sessionId } = message
    if (type === '@xstate.actor') {
      if (this.#actors.has(sessionId) || this.#hasRoom()) this.#add(message)
    } else if (type === '@xstate.snapshot' || type === '@xstate.event') {
      const actor = this.#actors.get(sessionId) ?? this.#addUnknown(sessionId)
      if (actor === undefined) return
      if (type === '@xstate.snapshot') actor.latest = snapshotOf(message['snapshot'])
      this.#show(sessionId, type === '@xstate.event' ? message : undefined)
    } else {
      this.ignored += 1
    }
  }

  /** Puts all of it into the book, where somebody has just come to look. */
  fill(): void {
    for (const id of this.#actors.keys()) this.#entry(id)
    if (this.#actors.size === 0) this.#top()
  }

  leave(): void {
    this.isAway = true
    const { book } = this.#hub
    for (const entry of book.entries.values()) {
      if (entry.path !== this.path && !entry.path.startsWith(`${this.path}/`)) continue
      entry.phase = 'stopped'
      book.dirty.add(entry)
    }
  }

  gone(): void {
    const { book } = this.#hub
    for (const entry of book.entries.values()) {
      if (entry.path === this.path || entry.path.startsWith(`${this.path}/`)) book.remove(entry)
    }
  }

  #isTooFast(): boolean {
    const second = Math.floor(Date.now() / 1_000)
    if (second !== this.#second) this.#inSecond = 0
    this.#second = second
    this.#inSecond += 1
    return this.#inSecond > MOST_A_SECOND
  }

  #hasRoom(): boolean {
    if (this.#actors.size < MOST_ACTORS) return true
    for (const [id, actor] of this.#actors) {
      if (actor.snapshot().status === 'active') continue
      this.#actors.delete(id) // an actor that is over makes room
      return true
    }
    this.ignored += 1
    return false
  }

  #add({ sessionId, name, parentId, definition, snapshot }: Message): void {
    const parent = typeof parentId === 'string' && parentId !== sessionId ? parentId : undefined
    const called = typeof name === 'string' && name !== '' ? cut(name, 200) : sessionId
    this.#actors.set(sessionId, new RemoteActor(called, parent, chartOfDefinition(definition), snapshotOf(snapshot)))
    this.#show(sessionId, undefined)
  }

  #addUnknown(id: string): RemoteActor | undefined {
    if (!this.#hasRoom()) return undefined
    const actor = new RemoteActor(id, undefined, undefined, { status: 'active' })
    this.#actors.set(id, actor)
    return actor
  }

  #show(id: string, message: Message | undefined): void {
    const { book, ring, isObserving } = this.#hub
    if (!isObserving) return
    const entry = this.#entry(id)
    entry.actor = this.#actors.get(id)
    book.dirty.add(entry)
    if (message === undefined) return
    entry.events += 1
    const { event, sourceId } = message
    const type = (event as { type?: unknown } | null)?.type
    ring.add({
      at: Date.now(),
      type: typeof type === 'string' ? cut(type, 200) : '',
      kind: 'message',
      from: typeof sourceId === 'string' && this.#actors.has(sourceId) ? this.#entry(sourceId) : undefined,
      to: entry,
      path: entry.path,
      data: event,
    })
  }

  #entry(id: string): Entry {
    const { book } = this.#hub
    const path = `${this.path}/${id.replaceAll('/', '_')}`
    const known = book.entries.get(path)
    if (known !== undefined) return known
    const actor = this.#actors.get(id)
    const above = actor?.parent
    // A parent that names its child as its own parent would never end.
    const parent = above !== undefined && this.#isAbove(above, id) ? this.#entry(above) : this.#top()
    const entry = book.put(path, actor?.name ?? id, 'actor', parent)
    entry.actor = actor
    return entry
  }

  #isAbove(above: string, id: string): boolean {
    const seen = new Set([id])
    for (let at: string | undefined = above; at !== undefined; at = this.#actors.get(at)?.parent) {
      if (seen.has(at) || seen.size > 50) return false
      seen.add(at)
    }
    return this.#actors.has(above)
  }

  #top(): Entry {
    const { book } = this.#hub
    return book.entries.get(this.path) ?? book.put(this.path, this.path, 'remote', undefined)
  }
}

function read(text: string): Message | undefined {
  let message: unknown
  try {
    message = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof message !== 'object' || message === null) return undefined
  const { type, sessionId } = message as Partial<Message>
  if (typeof type !== 'string' || typeof sessionId !== 'string' || sessionId === '' || sessionId.length > 200)
    return undefined
  return message as Message
}

const STATUSES = ['active', 'done', 'error', 'stopped'] as const

function snapshotOf(value: unknown): ObservedSnapshot {
  if (typeof value !== 'object' || value === null) return { status: 'active' }
  const { status, ...rest } = value as { readonly status?: unknown }
  return { ...rest, status: STATUSES.find((one) => one === status) ?? 'active' }
}
