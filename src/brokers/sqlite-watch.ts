import { guarded } from '../evidence.ts'
import type { BrokerClock } from './broker.ts'
import { Alarm } from './alarm.ts'
import type { Changes } from './sqlite-changes.ts'
import type { Statement } from './sqlite-driver.ts'
import type { Store } from './sqlite-jobs.ts'
import { readJson } from './stored.ts'
import { ORPHANED, State } from './sqlite-schema.ts'
import type { Watchers } from './watchers.ts'

/** How often the file is looked at for what other processes wrote; so whoever watches stays alive, as it should. */
const POLL = 150

/** What it lets others do. */
export interface WatchHands {
  /** Somebody may not have extended a lease. */
  leaseIsOver(): void
  /** A queue that is watched here has jobs that were lost too often. */
  isOrphaned(queue: number): void
}

/** Notices what becomes due and what other processes did, while somebody waits for it. */
export class Watch {
  readonly #store: Store
  readonly #watchers: Watchers
  readonly #clock: BrokerClock
  readonly #dueAlarm: Alarm
  readonly #leaseAlarm: Alarm
  readonly #pollAlarm: Alarm
  readonly #version: Statement
  readonly #ready: Statement
  readonly #due: Statement
  readonly #nextDue: Statement
  readonly #nextUntil: Statement
  readonly #unwanted: Statement
  readonly #orphaned: Statement
  readonly #hands: WatchHands
  #seenVersion: number
  #seenFinish: number

  constructor(store: Store, watchers: Watchers, clock: BrokerClock, hands: WatchHands) {
    this.#store = store
    this.#watchers = watchers
    this.#clock = clock
    this.#dueAlarm = new Alarm(clock, () => guarded(() => this.look(), undefined)) // the next poll looks again
    this.#hands = hands
    this.#leaseAlarm = new Alarm(clock, () => hands.leaseIsOver())
    this.#pollAlarm = new Alarm(clock, () => this.#poll())
    const { db } = store
    this.#version = db.prepare('PRAGMA data_version')
    this.#ready = db.prepare(`SELECT 1 FROM jobs WHERE queue = ? AND state = ${State.ready} LIMIT 1`)
    this.#due = db.prepare(`SELECT 1 FROM jobs WHERE queue = ? AND state = ${State.delayed} AND due <= ? LIMIT 1`)
    this.#nextDue = db.prepare(
      `SELECT min(due) AS due FROM jobs WHERE queue = ? AND state = ${State.delayed} AND due > ?`,
    )
    this.#nextUntil = db.prepare(
      `SELECT min(until) AS due FROM jobs WHERE state = ${State.leased} AND until < ${ORPHANED}`,
    )
    this.#orphaned = db.prepare(
      `SELECT 1 FROM jobs WHERE state = ${State.leased} AND until = ${ORPHANED} AND queue = ? LIMIT 1`,
    )
    this.#unwanted = db.prepare('SELECT id, unwanted FROM jobs WHERE unwanted IS NOT NULL AND owner = ?')
    this.#seenVersion = this.#readVersion()
    this.#seenFinish = store.ledger.read().finish
  }

  /** Somebody waits, from now on. */
  start(): void {
    if (this.#watchers.isEmpty) return
    this.#pollAlarm.atLatest(this.#clock.now() + POLL)
    this.#setAlarms()
  }

  stop(): void {
    for (const alarm of [this.#dueAlarm, this.#leaseAlarm, this.#pollAlarm]) alarm.clear()
  }

  committed({ woken, ended, buried, due, until }: Changes): void {
    if (this.#watchers.isEmpty) return
    this.#dueAlarm.atLatest(due)
    this.#leaseAlarm.atLatest(until)
    for (const queue of woken) this.#watchers.wake(this.#store.queues.nameOf(queue))
    for (const listener of this.#watchers.listeners) {
      for (const id of ended) listener.settled(id)
      for (const job of buried) listener.buried(job)
    }
  }

  /** Wakes whoever has something to take. */
  look(): void {
    const now = this.#now()
    for (const name of this.#watchers.byQueue.keys()) {
      const queue = this.#store.queues.find(name)
      if (queue === undefined) continue
      if (this.#ready.get(queue) !== undefined || this.#due.get(queue, now) !== undefined) this.#watchers.wake(name)
    }
    this.#setAlarms()
  }

  #poll(): void {
    if (this.#watchers.isEmpty) return this.stop()
    this.#pollAlarm.atLatest(this.#clock.now() + POLL)
    try {
      const version = this.#readVersion()
      if (version === this.#seenVersion) return
      this.look()
      this.#listen()
      this.#seenVersion = version
    } catch {
      // The file cannot be read at present; those who call the broker are told, and the next look may find more.
    }
  }

  #listen(): void {
    const { ledger, archive, owner } = this.#store
    const { finish, forgotten } = ledger.read()
    const isSomeGone = forgotten > this.#seenFinish
    const ids = archive.finishedSince(this.#seenFinish, finish, owner)
    this.#seenFinish = finish
    for (const listener of this.#watchers.listeners) {
      for (const id of ids) listener.settled(id)
      if (isSomeGone) listener.settled(undefined)
    }
    for (const { id, unwanted } of this.#unwanted.all(owner) as { id: string; unwanted: string }[]) {
      const { reason } = JSON.parse(unwanted) as { readonly reason: string | null }
      for (const listener of this.#watchers.listeners) listener.cancelled(id, readJson(reason))
    }
  }

  /** What is due already is not waited for: whoever was woken for it takes it when there is a slot. */
  #setAlarms(): void {
    const now = this.#now()
    for (const name of this.#watchers.byQueue.keys()) {
      const queue = this.#store.queues.find(name)
      if (queue === undefined) continue
      this.#dueAlarm.atLatest(timeIn(this.#nextDue.get(queue, now)))
      if (this.#orphaned.get(queue) !== undefined) this.#hands.isOrphaned(queue)
    }
    this.#leaseAlarm.atLatest(timeIn(this.#nextUntil.get()))
  }

  #now(): number {
    return Math.floor(this.#clock.now())
  }

  #readVersion(): number {
    const { data_version: version } = this.#version.get() as { readonly data_version: number }
    return version
  }
}

const timeIn = (row: unknown): number => (row as { readonly due: number | null }).due ?? Infinity
