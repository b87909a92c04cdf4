import type { WebSocket } from 'ws'
import { guarded, peek } from '../evidence.ts'
import type { Failure } from '../failure.ts'
import { answer } from './answers.ts'
import { isJob, type Entry } from './entry.ts'
import { helloOf, MOST_ACTORS } from './hello.ts'
import type { Hub, Listener } from './hub.ts'
import type { Recording } from './recording.ts'
import { nodeRow } from './node-row.ts'
import { detailOf } from './detail.ts'
import { eventRow } from './event-row.ts'

const MOST_EVENTS = 100
const MOST_NODES = 500
const SLOW = 1024 * 1024
const STUCK = 8 * 1024 * 1024
const AWAY_AFTER = 60_000

/** One page that looks on: what it has been told, what is on its screen, and how fast it reads. */
export class Viewer implements Listener {
  readonly #hub: Hub
  readonly #socket: WebSocket
  /** For `POST /do`; undefined where nobody may act. */
  readonly #control: string | undefined
  readonly #changed: () => void
  /** Keeps what it is shown; of several viewers one is recorded. */
  recording: Recording | undefined
  #isHere = false
  #known = new Set<string>()
  #charts = new Set<string>()
  /** What each known node was last told to be, as far as that matters off the screen. */
  #told = new Map<string, string>()
  #pending = new Set<Entry>()
  #rows: ReadonlySet<string> = new Set()
  #opened: ReadonlySet<string> = new Set()
  #watched: Entry | undefined
  #isDetailDue = false
  #sentSeq = 0
  #sampledAt = 0
  #ticks = 0
  #dropped = { events: 0, nodes: 0 }
  #pendingFailures: Failure[] = []
  #isHidden = false
  #lastTick = 0
  #away: NodeJS.Timeout | undefined

  constructor(hub: Hub, socket: WebSocket, control: string | undefined, changed: () => void) {
    this.#hub = hub
    this.#socket = socket
    this.#control = control
    this.#changed = changed
    socket.on('message', (data, isBinary) => {
      if (!isBinary) guarded(() => this.#hear(String(data)), undefined)
    })
    socket.on('close', () => this.#leave())
    this.#come()
  }

  get isHere(): boolean {
    return this.#isHere
  }

  bye(reason: string): void {
    this.#send(JSON.stringify({ type: 'bye', reason }))
    this.#leave()
    this.#socket.close(1001)
  }

  tick(changed: ReadonlySet<Entry>, failures: readonly Failure[]): void {
    for (const entry of changed) if (this.#concerns(entry)) this.#pending.add(entry)
    if (this.#watched !== undefined && changed.has(this.#watched)) this.#isDetailDue = true
    this.#pendingFailures.push(...failures)
    if (this.#pendingFailures.length > 500) this.#pendingFailures.splice(0, this.#pendingFailures.length - 500)
    const { bufferedAmount } = this.#socket
    if (bufferedAmount > STUCK) return this.#socket.terminate()
    const now = Date.now()
    if (bufferedAmount > SLOW || (this.#isHidden && now - this.#lastTick < 1_000)) return
    this.#lastTick = now
    this.#tell(now)
  }

  #tell(now: number): void {
    const { nodes, gone } = this.#takeNodes()
    const hub = this.#hub
    const events = this.#takeEvents()
    const failures = this.#pendingFailures.map((failure) => hub.failures.show(failure))
    this.#pendingFailures = []
    const sample = hub.samples.all.at(-1)
    const stats = sample !== undefined && sample.at > this.#sampledAt ? sample : undefined
    if (nodes.length + gone.length + events.length + failures.length > 0 || stats !== undefined) {
      this.#ticks += 1
      const { events: lost, nodes: late } = this.#dropped
      this.#dropped = { events: 0, nodes: 0 }
      const parts = [
        `"type":"tick","seq":${this.#ticks},"at":${now}`,
        list('nodes', nodes),
        gone.length === 0 ? '' : `"gone":${JSON.stringify(gone)}`,
        list('events', events),
        list('failures', failures),
        stats === undefined ? '' : `"stats":${JSON.stringify(stats)}`,
        lost + late === 0 ? '' : `"dropped":{"events":${lost},"nodes":${late}}`,
      ]
      if (stats !== undefined) this.#sampledAt = stats.at
      this.#show(`{${parts.filter((part) => part !== '').join(',')}}`)
    }
    this.#tellDetail()
  }

  #concerns(entry: Entry): boolean {
    if (this.#known.has(entry.id)) return true
    if (entry.isGone) return false
    if (isJob(entry)) return entry.parent !== undefined && this.#opened.has(entry.parent.id)
    return this.#known.size < MOST_ACTORS || (entry.parent !== undefined && this.#opened.has(entry.parent.id))
  }

  #takeNodes(): { readonly nodes: readonly string[]; readonly gone: readonly string[] } {
    const nodes: string[] = []
    const gone: string[] = []
    const later = new Set<Entry>()
    const take = (entry: Entry): void => {
      if (nodes.length === MOST_NODES) return void later.add(entry)
      nodes.push(this.#row(entry))
    }
    for (const entry of this.#pending) if (!entry.isGone && this.#isOnScreen(entry)) take(entry)
    for (const entry of this.#pending) {
      if (entry.isGone) {
        this.#told.delete(entry.id)
        if (this.#known.delete(entry.id)) gone.push(entry.id)
      } else if (
        !this.#isOnScreen(entry) &&
        (!this.#known.has(entry.id) || this.#told.get(entry.id) !== essence(entry))
      ) {
        take(entry)
      }
    }
    this.#pending = later
    this.#dropped.nodes += later.size
    return { nodes, gone }
  }

  #isOnScreen(entry: Entry): boolean {
    return this.#rows.has(entry.id) || entry === this.#watched
  }

  #row(entry: Entry): string {
    const row = nodeRow(entry, this.#hub.charts, this.#hub.showing)
    this.#known.add(entry.id)
    this.#told.set(entry.id, essence(entry))
    if (row.chart !== undefined && !this.#charts.has(row.chart)) {
      this.#charts.add(row.chart)
      this.#show(`{"type":"chart","hash":"${row.chart}","chart":${this.#hub.charts.textOf(row.chart)}}`)
    }
    return JSON.stringify(row)
  }

  #takeEvents(): readonly string[] {
    const { ring, showing } = this.#hub
    const total = ring.last - this.#sentSeq
    const all = ring.after(this.#sentSeq)
    this.#sentSeq = ring.last
    let chosen = all
    if (all.length > MOST_EVENTS) {
      // What is looked at comes first, then what is newest.
      const entry = this.#watched
      const watched = entry === undefined ? [] : all.filter(({ to, from }) => to === entry || from === entry)
      const first = watched.slice(-MOST_EVENTS / 2)
      const keep = new Set([...first, ...all.slice(first.length - MOST_EVENTS)])
      chosen = all.filter((happened) => keep.has(happened))
    }
    this.#dropped.events += total - chosen.length
    return chosen.map((happened) => eventRow(happened, showing))
  }

  #tellDetail(): void {
    const entry = this.#watched
    if (entry === undefined || !this.#isDetailDue) return
    this.#isDetailDue = false
    this.#show(detailOf(entry, this.#hub))
  }

  // What the page says

  #hear(text: string): void {
    const frame = JSON.parse(text) as { readonly type?: unknown; readonly [key: string]: unknown }
    switch (frame?.type) {
      case 'watch':
        return this.#watch(frame['id'])
      case 'open':
        this.#rows = new Set(texts(frame['rows'], 300))
        this.#opened = new Set(texts(frame['parents'], 1_000))
        this.#hub.open(this, this.#opened)
        return this.#showOpened()
      case 'view':
        return this.#view(frame['hidden'] === true)
      case 'ask':
        return void this.#answer(frame)
    }
  }

  #watch(id: unknown): void {
    const entry = typeof id === 'string' ? this.#hub.book.byId.get(id) : undefined
    if (entry !== this.#watched) {
      if (this.#watched !== undefined) this.#hub.follow(this.#watched, -1)
      if (entry !== undefined) this.#hub.follow(entry, 1)
    }
    this.#watched = entry
    this.#isDetailDue = true
    if (entry !== undefined) this.#pending.add(entry)
    if (this.#isHere) this.#tellDetail()
  }

  /** What has come on the screen may be old, for it was not told while it was away from it. */
  #showOpened(): void {
    for (const id of this.#rows) {
      const entry = this.#hub.book.byId.get(id)
      if (entry !== undefined) this.#pending.add(entry)
    }
    let more = 200
    for (const entry of this.#hub.book.entries.values()) {
      if (this.#opened.size === 0 || more === 0) return
      if (entry.parent === undefined || !this.#opened.has(entry.parent.id) || this.#known.has(entry.id)) continue
      this.#pending.add(entry)
      more -= 1
    }
  }

  #view(isHidden: boolean): void {
    if (this.#isHidden === isHidden) return
    this.#isHidden = isHidden
    clearTimeout(this.#away)
    if (isHidden) this.#away = setTimeout(() => this.#goAway(), AWAY_AFTER).unref()
    else if (!this.#isHere) this.#come()
  }

  async #answer(frame: { readonly [key: string]: unknown }): Promise<void> {
    const { re } = frame
    if (typeof re !== 'number') return
    try {
      const value = await answer(frame, this.#hub, (entry) => JSON.parse(this.#row(entry)) as unknown)
      const rows = peek(value, 'rows')
      const isOfTree = frame['what'] === 'children' || frame['what'] === 'search'
      if (isOfTree) this.recording?.add(JSON.stringify({ type: 'tick', at: Date.now(), nodes: rows }))
      this.#send(JSON.stringify({ type: 'answer', re, value }))
    } catch (error) {
      const text = this.#hub.showing.text(error instanceof Error ? error.message : String(error))
      this.#send(JSON.stringify({ type: 'answer', re, error: text.slice(0, 500) }))
    }
  }

  // Coming and going

  #come(): void {
    if (this.#isHere || this.#socket.readyState !== this.#socket.OPEN) return
    this.#isHere = true
    this.#hub.join(this)
    this.#hello()
    this.#changed()
  }

  #goAway(): void {
    if (!this.#isHere) return
    this.#isHere = false
    if (this.#watched !== undefined) this.#hub.follow(this.#watched, -1)
    this.#watched = undefined
    this.#hub.leave(this)
    this.#changed()
  }

  #leave(): void {
    clearTimeout(this.#away)
    this.#goAway()
  }

  #hello(): void {
    this.#known = new Set()
    this.#charts = new Set()
    this.#told = new Map()
    this.#pending = new Set()
    this.#pendingFailures = []
    const { text, seq } = helloOf(this.#hub, this.#control, (entry) => {
      this.#known.add(entry.id)
      this.#told.set(entry.id, essence(entry))
    })
    for (const hash of text.charts) this.#charts.add(hash)
    this.#sentSeq = seq
    this.#sampledAt = this.#hub.samples.all.at(-1)?.at ?? 0
    this.#send(text.frame)
  }

  #show(frame: string): void {
    this.recording?.add(frame)
    this.#send(frame)
  }

  #send(frame: string): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(frame)
  }
}

/** What is told of a node also while it is not on the screen: the rest is read when it comes there. */
function essence(entry: Entry): string {
  return `${entry.isOver} ${entry.phase} ${entry.failures} ${entry.generation} ${entry.ended > 0}`
}

function list(name: string, parts: readonly string[]): string {
  return parts.length === 0 ? '' : `"${name}":[${parts.join(',')}]`
}

function texts(value: unknown, most: number): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string').slice(0, most) : []
}
