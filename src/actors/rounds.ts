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
  /** Calls back after `ms`, but never before timers and I/O had their turn; gives the way to cancel. */
  wait(ms: number, callback: () => void): () => void
  began(round: Round<Child>): void
  /** The last round that was under way is over. */
  over(): void
}

/** The rounds of one supervisor: whom a restart takes along, and in which order they stop and start. */
export class Rounds {
  readonly #definition: Supervisor
  readonly #roster: Roster
  readonly #hands: RoundHands
  readonly #live = new Set<Round<Child>>()
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
    const round = new Round(members, Math.max(backoff, (earlier?.dueAt ?? 0) - this.#hands.now()))
    if (earlier !== undefined) this.#drop(earlier)
    if (isWide) this.#wide = round
    this.#live.add(round)
    for (const member of round.members) this.#takeIn(member, round)
    this.#hands.began(round)
    for (const member of round.members) {
      if (!member.isDynamic || !member.isAlive) continue
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
    if (!this.#live.has(round)) return
    if (round.size === 0) return this.#end(round)
    const wasLast = round.pending.delete(child) && round.pending.size === 0
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
    for (const round of this.#live) this.#drop(round)
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
    if (round.pending.size > 0) return
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
    round.cancelWait = this.#hands.wait(round.delay, () => {
      round.cancelWait = undefined
      if (this.#live.has(round)) this.#startNext(round)
    })
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
    if (this.#live.size === 0) this.#hands.over()
  }

  #drop(round: Round<Child>): void {
    this.#live.delete(round)
    round.cancelWait?.()
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
