import type { Observed, ObservedSnapshot, Sink } from '../actors/tap.ts'
import { guarded } from '../evidence.ts'
import type { Inspected } from '../inspection.ts'
import type { Limits } from './plain.ts'
import type { Showing } from './showing.ts'

/** The version of @statelyai/inspect whose messages these are. */
const VERSION = '0.7.2'
const A_SECOND = 200
const MOST_ACTORS = 100
const MOST_WAITING = 2_000
const STEP = 50
const DEFINITION: Limits = { depth: 40, keys: 1_000, items: 1_000, text: 2_000, parts: 20_000, frames: 30 }
const LONGEST_DEFINITION = 256 * 1024
const SNAPSHOT: Limits = { depth: 10, keys: 200, items: 200, text: 2_000, parts: 5_000, frames: 30 }

interface Waiting {
  readonly kind: 'actor' | 'event' | 'snapshot'
  readonly actor: Observed
  readonly at: number
  readonly event?: { readonly type: string }
  readonly from?: Observed | undefined
  readonly snapshot?: ObservedSnapshot | undefined
}

export interface FeedOptions {
  readonly inspected: Inspected
  readonly showing: Showing
  readonly isShown: (path: string) => boolean
  /** Only what stands here or below; '' for everything. */
  readonly under: string
  readonly send: (message: string) => void
}

/** Tells one viewer of Stately's what actors do, in its own messages: first who lives, then what happens. */
export class StatelyFeed implements Sink {
  readonly #options: FeedOptions
  /** Sessions count anew in each system: in front of them stands what tells the systems of a process apart. */
  readonly #prefix: string
  readonly #known = new Set<Observed>()
  #waiting: Waiting[] = []
  #tokens = A_SECOND
  #timer: NodeJS.Timeout | undefined
  readonly #end: () => void

  constructor(options: FeedOptions, prefix: string) {
    this.#options = options
    this.#prefix = prefix
    for (const actor of this.#live()) this.appeared(actor)
    this.#end = options.inspected.observe(this)
  }

  close(): void {
    this.#end()
    clearTimeout(this.#timer)
  }

  appeared(actor: Observed): void {
    if (this.#known.has(actor) || !this.#isWanted(actor)) return
    if (this.#known.size >= MOST_ACTORS) return
    const { parent } = actor
    if (parent !== undefined && !parent.isRoot) this.appeared(parent)
    this.#known.add(actor)
    this.#push({ kind: 'actor', actor, at: Date.now() })
  }

  took(actor: Observed, event: { readonly type: string }, from: Observed | undefined): void {
    this.appeared(actor)
    if (this.#known.has(actor)) this.#push({ kind: 'event', actor, at: Date.now(), event, from })
  }

  moved(actor: Observed, event: { readonly type: string }): void {
    if (!this.#known.has(actor)) return
    const snapshot = guarded(() => actor.snapshot(), undefined)
    // Of one actor only the latest is worth waiting for.
    const before = this.#waiting.findIndex((one) => one.kind === 'snapshot' && one.actor === actor)
    if (before >= 0) this.#waiting.splice(before, 1)
    this.#push({ kind: 'snapshot', actor, at: Date.now(), event, snapshot })
    if (snapshot?.status !== 'active') this.#known.delete(actor)
  }

  stepped(): void {}

  *#live(): Generator<Observed, undefined> {
    const { inspected } = this.#options
    for (const { actor, kind, path } of inspected.nodes()) {
      if (actor === undefined) continue
      yield* withChildren(actor)
      if (kind === 'task') for (const job of inspected.jobs(path)) yield* withChildren(job)
    }
    return undefined
  }

  #isWanted(actor: Observed): boolean {
    const { under, isShown } = this.#options
    const { path, isRoot } = actor
    if (isRoot) return false
    return isShown(path) && (under === '' || path === under || path.startsWith(`${under}/`))
  }

  #push(waiting: Waiting): void {
    if (this.#waiting.length >= MOST_WAITING) {
      const oldest = this.#waiting.findIndex(({ kind }) => kind === 'event')
      if (oldest < 0) return
      this.#waiting.splice(oldest, 1)
    }
    this.#waiting.push(waiting)
    this.#timer ??= setTimeout(() => this.#sendSome(), 0)
  }

  #sendSome(): void {
    this.#timer = undefined
    this.#tokens = Math.min(A_SECOND, this.#tokens + (A_SECOND * STEP) / 1_000)
    while (this.#tokens >= 1 && this.#waiting.length > 0) {
      this.#tokens -= 1
      const next = this.#waiting.shift() as Waiting
      guarded(() => this.#options.send(JSON.stringify(this.#message(next))), undefined)
    }
    if (this.#waiting.length > 0) this.#timer = setTimeout(() => this.#sendSome(), STEP).unref()
  }

  #message({ kind, actor, at, event, from, snapshot }: Waiting): object {
    const base = {
      type: `@xstate.${kind}`,
      _version: VERSION,
      id: null,
      createdAt: String(at),
      sessionId: this.#idOf(actor),
      rootId: this.#idOf(topOf(actor)),
    }
    const shownEvent = event && this.#event(event, actor.path)
    switch (kind) {
      case 'actor': {
        const { parent } = actor
        return {
          ...base,
          name: this.#nameOf(actor),
          parentId: parent === undefined || parent.isRoot ? undefined : this.#idOf(parent),
          definition: this.#definition(actor),
          snapshot: this.#snapshot(
            guarded(() => actor.snapshot(), undefined),
            actor.path,
          ),
        }
      }
      case 'event':
        return {
          ...base,
          event: shownEvent,
          sourceId: from === undefined || from.isRoot ? undefined : this.#idOf(from),
        }
      case 'snapshot':
        return { ...base, event: shownEvent, snapshot: this.#snapshot(snapshot, actor.path) }
    }
  }

  #idOf({ session }: Observed): string {
    return `${this.#prefix}:${session}`
  }

  #nameOf({ path, name }: Observed): string {
    const { showing, inspected } = this.#options
    return showing.text(path.slice(path.lastIndexOf('/') + 1) || name || inspected.name)
  }

  #definition(actor: Observed): string {
    const { showing } = this.#options
    const name = this.#nameOf(actor)
    const { config, path } = actor
    if (config === undefined) return JSON.stringify({ id: name })
    const shown = showing.data(config, path, 'definition', DEFINITION) as Record<string, unknown>
    if (!showing.hasPayloads) delete shown['context']
    const text = JSON.stringify(shown)
    return text.length > LONGEST_DEFINITION ? JSON.stringify({ id: name }) : text
  }

  #event(event: object, path: string): unknown {
    const { showing } = this.#options
    if (showing.hasPayloads) return showing.data(event, path, 'event', SNAPSHOT)
    return { type: showing.text(String((event as { type?: unknown }).type)) }
  }

  /** Those fields that all snapshots may have; a compiled chart's are getters. */
  #snapshot(snapshot: ObservedSnapshot | undefined, path: string): object {
    if (snapshot === undefined) return { status: 'active' }
    const { showing } = this.#options
    const open = ['status', 'value', 'children', 'historyValue', 'tags'] as const
    const payload = ['context', 'input', 'output', 'error'] as const
    const shown: Record<string, unknown> = {}
    for (const key of showing.hasPayloads ? [...open, ...payload] : open) {
      const value = guarded(() => snapshot[key], undefined)
      if (value !== undefined) shown[key] = showing.data(value, path, key, SNAPSHOT)
    }
    return shown
  }
}

function* withChildren(actor: Observed): Generator<Observed, undefined> {
  yield actor
  for (const child of guarded(() => actor.children(), [])) yield* withChildren(child)
  return undefined
}

function topOf(actor: Observed): Observed {
  let top = actor
  for (let above = actor.parent; above !== undefined && !above.isRoot; above = above.parent) top = above
  return top
}
