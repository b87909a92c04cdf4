import type { Supervisor } from '../supervisor.ts'
import { delayOf } from '../retry.ts'
import type { Child } from './child.ts'
import type { Roster } from './roster.ts'
import { Round } from './round.ts'

/** What rounds let others do. */
export interface RoundHands {
  now(): number
  random(): number
  start(child: Child): void
  stop(child: Child): void
  /** Calls back after `ms`, but never before timers and I/O had their turn. */
  wait(ms: number, callback: () => void): { cancel(): void }
  /** Does what a wait was for, as one step. */
  step(step: () => void): void
  began(round: Round<Child>): void
  /** The last round that was under way is over. */
  over(): void
}

/** The rounds of one supervisor: whom a restart takes along, and in which order they stop and start. */
export class Rounds {
  readonly #definition: Supervisor
  readonly #roster: Roster
  readonly #hands: RoundHands
  /** Those under way, and how many: a list, for a `Set` that one goes into and out of again and again is work for the collector. */
  #first: Round<Child> | undefined
  #count = 0
  /** The one for a static child's sake that may reach others; a later one takes its place. */
  #wide: Round<Child> | undefined

  constructor(definition: Supervisor, roster: Roster, hands: RoundHands) {
    this.#definition = definition
    this.#roster = roster
    this.#hands = hands
  }

  /** Begins a round for a child that is down. */
  begin(child: Child): void {
    const isWide = !child.isDynamic && this.#definition.strategy !== 'one-for-one'
    const backoff = this.#backoff(child)
    const earlier = isWide ? this.#wide : undefined
    const members = isWide ? this.#reach(child, earlier && firstOpen(earlier)) : [child]
    const left = earlier?.dueAt === undefined ? 0 : earlier.dueAt - this.#hands.now()
    const round = new Round(members, Math.max(backoff, left))
    if (earlier !== undefined) this.#drop(earlier)
    if (isWide) this.#wide = round
    this.#add(round)
    for (const member of round.members) this.#takeIn(member, round)
    this.#hands.began(round)
    for (const member of round.members) {
      if (!member.isDynamic || !member.isAlive) continue
      round.pending ??= new Set()
      round.pending.add(member)
      if (member.status !== 'stopping') this.#hands.stop(member)
    }
    this.#stopNext(round)
  }

  /** Whether a round is going to stop it, and has not yet. */
  isAwaitingStop(child: Child): boolean {
    return child.round?.stage === 'stopping' && child.status !== 'stopping'
  }

  /** A child is up. */
  cameUp(child: Child): void {
    const { round } = child
    if (round?.awaited === child && round.stage === 'starting') this.#startNext(round)
  }

  /** A child is down and comes back, or has just left the round it was in. */
  wentDown(child: Child, round: Round<Child>): void {
    if (!round.isLive) return
    if (round.size === 0) return this.#end(round)
    const wasLast = round.pending?.delete(child) === true && round.pending.size === 0
    if (wasLast || (round.awaited === child && round.stage === 'stopping')) return this.#stopNext(round)
    if (round.awaited === child && round.stage === 'starting') this.#startNext(round)
  }

  /** Takes a child out of its round, which it gives; the others go on once that is told by `wentDown`. */
  leave(child: Child): Round<Child> | undefined {
    const { round } = child
    if (round === undefined) return undefined
    child.round = undefined
    round.size -= 1
    return round
  }

  /** Ends all of them, wherever they stand. */
  cancel(): void {
    while (this.#first !== undefined) this.#drop(this.#first)
  }

  /**
   * Whom a round for a static child takes along; what is down on purpose, or started by somebody, is left alone. `open`
   * is where the round that was under way stood: this one does the rest of it, too.
   */
  #reach(child: Child, open: Child | undefined): readonly Child[] {
    const { statics, dynamics } = this.#roster
    const members: Child[] = []
    let isIn = this.#definition.strategy === 'one-for-all'
    for (const next of statics) {
      isIn ||= next === child || next === open
      if (isIn && (next === child || isReached(next))) members.push(next)
    }
    for (const dynamic of dynamics) if (isReached(dynamic)) members.push(dynamic)
    return members
  }

  #backoff(child: Child): number {
    const { backoff } = this.#definition
    if (backoff === undefined) return 0
    const wasQuiet = child.upAt !== undefined && this.#hands.now() - child.upAt >= backoff.reset
    child.tries = wasQuiet ? 1 : child.tries + 1
    child.upAt = undefined
    return delayOf(backoff, child.tries, () => this.#hands.random())
  }

  #takeIn(member: Child, round: Round<Child>): void {
    const earlier = this.leave(member)
    member.round = round
    if (!member.isAlive) this.#roster.set(member, 'restarting')
    if (earlier !== undefined) this.wentDown(member, earlier)
  }

  #stopNext(round: Round<Child>): void {
    round.awaited = undefined
    if (round.pending !== undefined && round.pending.size > 0) return
    while (round.at > 0) {
      round.at -= 1
      const member = round.members[round.at] as Child
      if (member.isDynamic || !member.isAlive || member.round !== round) continue
      round.awaited = member
      if (member.status !== 'stopping') this.#hands.stop(member)
      return
    }
    round.stage = 'waiting'
    if (round.delay > 0) round.dueAt = this.#hands.now() + round.delay
    round.wait = this.#hands.wait(round.delay, () => this.#hands.step(() => this.#isDue(round)))
  }

  #isDue(round: Round<Child>): void {
    round.wait = undefined
    if (round.isLive) this.#startNext(round)
  }

  #startNext(round: Round<Child>): void {
    round.stage = 'starting'
    round.awaited = undefined
    round.dueAt = undefined
    while (round.at < round.members.length) {
      const member = round.members[round.at] as Child
      round.at += 1
      if (member.round !== round) continue
      round.awaited = member
      return this.#hands.start(member)
    }
    this.#end(round)
  }

  #end(round: Round<Child>): void {
    this.#drop(round)
    if (this.#count === 0) this.#hands.over()
  }

  #add(round: Round<Child>): void {
    round.after = this.#first
    if (this.#first !== undefined) this.#first.before = round
    this.#first = round
    this.#count += 1
  }

  #drop(round: Round<Child>): void {
    if (!round.isLive) return
    round.isLive = false
    this.#count -= 1
    const { before, after } = round
    if (before === undefined) this.#first = after
    else before.after = after
    if (after !== undefined) after.before = before
    round.before = undefined
    round.after = undefined
    round.wait?.cancel()
    if (this.#wide === round) this.#wide = undefined
    for (const member of round.members) if (member.round === round) member.round = undefined
  }
}

/** The first member of a round that it has not brought up. */
function firstOpen(round: Round<Child>): Child | undefined {
  const at = round.stage === 'starting' ? round.at - 1 : 0
  return round.members.slice(at).find((member) => member.round === round)
}

function isReached(child: Child): boolean {
  return child.status !== 'stopped' && child.startWaiter === undefined && child.stopWaiters === undefined
}
