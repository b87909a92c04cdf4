import type { Decision, DecisionName } from '../decision.ts'
import { RestartLimitError, SupervisorStoppedError } from '../errors.ts'
import { addToTrail, Failure } from '../failure.ts'
import { allows, charge, createRestartWindow, type RestartWindow } from '../restart-window.ts'
import { delayOf } from '../retry.ts'
import type { Supervisor } from '../supervisor.ts'
import type { Child, ChildStatus, Waiter } from './child.ts'
import { ChildList } from './child.ts'
import { Round } from './round.ts'
import type { Verdict } from './verdict.ts'

/** How a supervision ended. `started` is false if its first start did not succeed. */
export type End = { readonly failure?: undefined } | { readonly failure: Failure; readonly started: boolean }

/** What the core lets others do. None of these may throw. */
export interface Hands {
  now(): number
  random(): number
  start(child: Child): void
  stop(child: Child): void
  kill(child: Child): void
  release(child: Child, decision: 'resume' | 'over'): void
  /** Calls back after `ms`, but never before timers and I/O had their turn; gives the way to cancel. */
  wait(ms: number, callback: () => void): () => void
  judge(failure: Failure, child: Child): Verdict
  report(failure: Failure, decision: DecisionName): void
  ended(child: Child, output: unknown): void
  began(round: Round<Child>): void
  forgotten(child: Child): void
  mirror(
    event: 'children.ready' | 'round.began' | 'rounds.over' | 'gave up' | 'shutdown' | 'children.down',
    failure?: Failure,
  ): void
  /** All children of the definition are ready. */
  ready(): void
  over(end: End): void
}

type Phase = 'starting' | 'running' | 'stopping' | 'over'

/** A failure or an end from before all siblings were ready. */
type Deferred = (isStopping: boolean) => void

export interface Counts {
  readonly total: number
  readonly running: number
  readonly restarting: number
  readonly stopped: number
  readonly supervisors: number
  readonly dynamic: number
}

/**
 * The core of a supervisor: what happens to which child, and when. No timer, no actor, no callback of a user's: those are
 * behind `Hands`, so that every order of events can be tested. Each event is worked to its end before the next.
 */
export class Supervision {
  readonly statics: ChildList = new ChildList()
  readonly dynamics: ChildList = new ChildList()
  readonly #path: string
  readonly #definition: Supervisor
  readonly #hands: Hands
  readonly #window: RestartWindow
  readonly #steps: (() => void)[] = []
  #isBusy = false
  #phase: Phase = 'starting'
  #isKilling = false
  #hasStarted = false
  #failure: Failure | undefined
  /** The static child whose turn it is, while starting or stopping. */
  #cursor: Child | undefined
  /** Dynamic children on their way down, while stopping. */
  #pending = 0
  readonly #rounds = new Set<Round<Child>>()
  /** The one round of more than one child that may be under way. */
  #wide: Round<Child> | undefined
  readonly #deferred: Deferred[] = []
  readonly #counts: Record<ChildStatus, number> = { starting: 0, running: 0, restarting: 0, stopping: 0, stopped: 0 }
  #supervisors = 0
  /** Significant children that have not ended for good. */
  #significant = 0

  constructor(path: string, definition: Supervisor, hands: Hands) {
    this.#path = path
    this.#definition = definition
    this.#hands = hands
    this.#window = createRestartWindow(definition.restarts.limit, definition.restarts.within)
  }

  get isStopped(): boolean {
    return this.#phase === 'stopping' || this.#phase === 'over'
  }

  get isRestarting(): boolean {
    return this.#rounds.size > 0
  }

  get counts(): Counts {
    return {
      total: this.statics.size + this.dynamics.size,
      running: this.#counts.running,
      restarting: this.#counts.restarting,
      stopped: this.#counts.stopped,
      supervisors: this.#supervisors,
      dynamic: this.dynamics.size,
    }
  }

  // Orders from above and from the admin API

  /** Starts the static children in order. */
  begin(): void {
    this.#do(() => {
      this.#cursor = this.statics.first
      this.#startNext()
    })
  }

  /** Takes a child in, without starting it. */
  add(child: Child): void {
    this.#counts.stopped += 1
    if (child.definition.kind === 'supervisor') this.#supervisors += 1
    ;(child.isDynamic ? this.dynamics : this.statics).add(child)
  }

  /** Starts a child somebody waits for; that one is told if it does not start. */
  startFor(child: Child, waiter: Waiter): void {
    this.#do(() => this.#startFor(child, waiter))
  }

  /** It took too long to start. */
  failStart(failure: Failure): void {
    this.#do(() => {
      if (this.#phase === 'starting') this.#giveUp(undefined, failure)
    })
  }

  /** Stops a child for good. */
  stopChild(child: Child, waiter: Waiter): void {
    this.#do(() => {
      if (child.status === 'restarting') {
        this.#leaveRound(child)
        this.#settleDown(child)
        return waiter.resolve()
      }
      if (child.status === 'stopped') return waiter.resolve()
      child.stopWaiters ??= []
      child.stopWaiters.push(waiter)
      if (child.round !== undefined) this.#leaveRound(child)
      if (child.status !== 'stopping') this.#stop(child)
    })
  }

  /** Forgets a stopped child. */
  forget(child: Child): void {
    const list = child.isDynamic ? this.dynamics : this.statics
    if (list.get(child.name) !== child) return
    this.#counts[child.status] -= 1
    if (child.definition.kind === 'supervisor') this.#supervisors -= 1
    list.remove(child)
    this.#hands.forgotten(child)
  }

  stop(): void {
    this.#do(() => {
      if (this.isStopped) return
      this.#hands.mirror('shutdown')
      this.#stopAll()
    })
  }

  /** Stops everything without asking anybody. */
  kill(): void {
    this.#do(() => {
      if (this.#phase === 'over') return
      this.#isKilling = true
      if (!this.isStopped) {
        this.#hands.mirror('shutdown')
        return this.#stopAll()
      }
      for (const child of [...this.dynamics, ...this.statics]) if (child.status === 'stopping') this.#hands.kill(child)
    })
  }

  // What becomes of children

  ready(child: Child, generation: number): void {
    this.#do(() => {
      if (child.generation === generation) this.#ready(child)
    })
  }

  ended(child: Child, generation: number, output: unknown): void {
    this.#do(() => {
      if (child.generation !== generation || !child.isAlive) return
      if (child.status === 'starting') this.#ready(child) // it has started, and ended
      this.#hands.ended(child, output)
      child.incarnation = undefined
      if (this.isStopped || child.status === 'stopping') return this.#isDown(child)
      if (this.#phase === 'starting') return this.#defer(child, () => this.#applyEnd(child))
      if (this.#isAwaitingStop(child)) return this.#endedBeforeItsStop(child)
      this.#applyEnd(child)
    })
  }

  failed(child: Child, generation: number, failure: Failure): void {
    this.#do(() => {
      if (child.generation !== generation || !child.isAlive) return
      child.incarnation = undefined
      if (this.isStopped || child.status === 'stopping') {
        this.#reportStopping(failure)
        return this.#isDown(child)
      }
      if (this.#isAwaitingStop(child)) return this.#failedBeforeItsStop(child, failure)
      const { verdict } = child
      child.verdict = undefined
      if (verdict?.failure === failure) return this.#apply(child, failure, verdict.verdict)
      if (this.#phase === 'starting') {
        return this.#defer(child, () => this.#apply(child, failure, this.#hands.judge(failure, child)), failure)
      }
      this.#apply(child, failure, this.#hands.judge(failure, child))
    })
  }

  didNotStart(child: Child, generation: number, failure: Failure): void {
    this.#do(() => {
      if (child.generation !== generation || !child.isAlive) return
      child.incarnation = undefined
      if (child.startWaiter !== undefined) return this.#answerFailedStart(child, failure)
      if (this.isStopped || child.status === 'stopping') {
        this.#reportStopping(failure)
        return this.#isDown(child)
      }
      if (this.#phase === 'starting') {
        return this.#giveUp(child, failure)
      }
      child.upAt = undefined
      this.#apply(child, failure, this.#hands.judge(failure, child))
    })
  }

  down(child: Child, generation: number): void {
    this.#do(() => {
      if (child.generation !== generation || child.status !== 'stopping') return
      child.incarnation = undefined
      this.#isDown(child)
    })
  }

  /** Answers at once, also in the middle of another step: the actor waits. */
  threw(child: Child, failure: Failure): 'resume' | 'over' | 'later' {
    if (child.status === 'starting') return 'over'
    if (this.isStopped || child.status === 'stopping' || this.#isAwaitingStop(child)) return 'over'
    if (this.#phase === 'starting') {
      this.#do(() => this.#deferred.push((isStopping) => this.#decideHeld(child, failure, isStopping)))
      return 'later'
    }
    const verdict = this.#hands.judge(failure, child)
    if (isPlainResume(verdict.decision)) {
      this.#decided(failure, verdict, 'resume')
      return 'resume'
    }
    child.verdict = { failure, verdict }
    return 'over'
  }

  // Starting

  #startNext(): void {
    const child = this.#cursor
    if (child !== undefined) return this.#start(child)
    this.#phase = 'running'
    this.#hasStarted = true
    this.#hands.mirror('children.ready')
    this.#hands.ready()
    for (const step of this.#deferred.splice(0)) this.#do(() => step(this.isStopped))
  }

  #start(child: Child): void {
    this.#set(child, 'starting')
    child.generation += 1
    child.nextTryAt = undefined
    this.#hands.start(child)
  }

  #startFor(child: Child, waiter: Waiter): void {
    if (this.isStopped) return waiter.reject(new SupervisorStoppedError(this.#path, 'startChild'))
    if (this.#phase === 'starting') {
      this.#deferred.push(() => this.#startFor(child, waiter))
      return
    }
    child.startWaiter = waiter
    this.#start(child)
  }

  #ready(child: Child): void {
    if (child.status !== 'starting') return
    this.#set(child, 'running')
    child.upAt = this.#hands.now()
    const waiter = child.startWaiter
    child.startWaiter = undefined
    waiter?.resolve()
    if (this.#phase === 'starting') {
      this.#cursor = child.after
      return this.#startNext()
    }
    if (child.round !== undefined) this.#goOn(child.round)
  }

  #answerFailedStart(child: Child, failure: Failure): void {
    const waiter = child.startWaiter
    const isNew = child.generation === 1
    child.startWaiter = undefined
    this.#set(child, 'stopped')
    if (isNew || child.isDynamic) this.forget(child)
    waiter?.reject(failure)
    this.#answerStopWaiters(child)
    if (this.isStopped) this.#goOnStopping(child)
  }

  #defer(child: Child, apply: () => void, failure?: Failure): void {
    this.#set(child, 'stopped')
    const { generation } = child
    this.#deferred.push((isStopping) => {
      if (!isStopping && child.generation === generation) return apply()
      if (failure !== undefined) this.#reportStopping(failure)
    })
  }

  #decideHeld(child: Child, failure: Failure, isStopping: boolean): void {
    if (isStopping || child.status === 'stopping') return this.#reportStopping(failure)
    const verdict = this.#hands.judge(failure, child)
    if (isPlainResume(verdict.decision)) {
      this.#decided(failure, verdict, 'resume')
      return this.#hands.release(child, 'resume')
    }
    child.verdict = { failure, verdict }
    this.#hands.release(child, 'over')
  }

  // Deciding

  #apply(child: Child, failure: Failure, verdict: Verdict): void {
    switch (verdict.decision.decision) {
      case 'resume':
        if ('hasValue' in verdict.decision && verdict.decision.hasValue) {
          this.#decided(failure, verdict, 'resume')
          this.#hands.ended(child, verdict.decision.value)
          return this.#applyEnd(child)
        }
        this.#decided(failure, verdict, 'stop')
        return this.#isOverForGood(child)
      case 'stop':
        this.#decided(failure, verdict, 'stop')
        return this.#isOverForGood(child)
      case 'restart':
        return this.#applyRestart(child, failure, verdict)
      case 'escalate':
        addToTrail(failure, entryOf(this.#path, verdict, 'escalate'))
        return this.#giveUp(child, failure)
    }
  }

  #applyRestart(child: Child, failure: Failure, verdict: Verdict): void {
    if (child.policy.restart === 'temporary') {
      this.#decided(failure, verdict, 'stop')
      return this.#isOverForGood(child)
    }
    const now = this.#hands.now()
    if (!allows(this.#window, now)) {
      const because = this.#limitError()
      addToTrail(failure, { path: this.#path, decision: 'escalate', by: 'limit', asked: 'restart', because })
      return this.#giveUp(child, failure)
    }
    charge(this.#window, now)
    this.#decided(failure, verdict, 'restart')
    this.#beginRound(child)
  }

  /** It ended by itself, normally; its type says what that means. */
  #applyEnd(child: Child): void {
    if (child.policy.restart !== 'permanent') return this.#isOverForGood(child)
    const now = this.#hands.now()
    if (allows(this.#window, now)) {
      charge(this.#window, now)
      return this.#beginRound(child)
    }
    const because = this.#limitError()
    const failure = new Failure({ error: because, path: child.path, kind: 'restarts', at: now })
    addToTrail(failure, { path: this.#path, decision: 'escalate', by: 'limit', asked: 'restart', because })
    this.#giveUp(child, failure)
  }

  #decided(failure: Failure, verdict: Verdict, decision: DecisionName): void {
    addToTrail(failure, entryOf(this.#path, verdict, decision))
    this.#hands.report(failure, decision)
  }

  #reportStopping(failure: Failure): void {
    addToTrail(failure, { path: this.#path, decision: 'stop', by: 'stopping' })
    this.#hands.report(failure, 'stop')
  }

  #limitError(): RestartLimitError {
    const { limit, within } = this.#definition.restarts
    return new RestartLimitError(this.#path || 'the root', limit, within)
  }

  // Rounds

  #beginRound(child: Child): void {
    const delay = this.#backoff(child)
    const isWide = !child.isDynamic && this.#definition.strategy !== 'one-for-one'
    const round = new Round(isWide ? this.#reach(child) : [child], delay)
    for (const member of round.members) {
      this.#endRoundOf(member)
      member.round = round
      if (member === child || !member.isAlive) this.#set(member, 'restarting')
      if (delay > 0) member.nextTryAt = this.#hands.now() + delay
    }
    if (isWide) this.#wide = round
    this.#rounds.add(round)
    this.#hands.mirror('round.began')
    this.#hands.began(round)
    this.#stopMembers(round)
  }

  /** Whom a round for a static child takes along; what is down on purpose stays down. */
  #reach(child: Child): readonly Child[] {
    const members: Child[] = []
    const first = this.#definition.strategy === 'one-for-all' ? this.statics.first : child
    for (let next = first; next !== undefined; next = next.after) {
      if (next === child || this.#isReached(next)) members.push(next)
    }
    for (const dynamic of this.dynamics) if (this.#isReached(dynamic)) members.push(dynamic)
    return members
  }

  #isReached(child: Child): boolean {
    return child.status !== 'stopped' && child.startWaiter === undefined && child.stopWaiters === undefined
  }

  #backoff(child: Child): number {
    const { backoff } = this.#definition
    if (backoff === undefined) return 0
    const wasQuiet = child.upAt !== undefined && this.#hands.now() - child.upAt >= backoff.reset
    child.tries = wasQuiet ? 1 : child.tries + 1
    child.upAt = undefined
    return delayOf(backoff, child.tries, () => this.#hands.random())
  }

  #stopMembers(round: Round<Child>): void {
    if (round.at === round.members.length) {
      for (const member of round.members) {
        if (!member.isDynamic || !member.isAlive || member.round !== round) continue
        round.pending += 1
        member.stopper = round
        if (member.status !== 'stopping') this.#stop(member)
      }
    }
    if (round.pending > 0) return
    while (round.at > 0) {
      round.at -= 1
      const member = round.members[round.at] as Child
      if (member.isDynamic || !member.isAlive || member.round !== round) continue
      member.stopper = round
      if (member.status !== 'stopping') this.#stop(member)
      return
    }
    round.stage = 'waiting'
    round.cancelWait = this.#hands.wait(round.delay, () => this.#do(() => this.#startMembers(round)))
  }

  #startMembers(round: Round<Child>): void {
    if (!this.#rounds.has(round)) return
    round.cancelWait = undefined
    round.stage = 'starting'
    while (round.at < round.members.length) {
      const member = round.members[round.at] as Child
      round.at += 1
      if (member.round !== round || member.status !== 'restarting') continue
      return this.#start(member)
    }
    this.#endRound(round)
  }

  #goOn(round: Round<Child>): void {
    if (!this.#rounds.has(round) || this.isStopped) return
    if (round.stage === 'starting') this.#startMembers(round)
  }

  #endRound(round: Round<Child>): void {
    this.#rounds.delete(round)
    round.cancelWait?.()
    if (this.#wide === round) this.#wide = undefined
    for (const member of round.members) if (member.round === round) member.round = undefined
    if (this.#rounds.size === 0 && !this.isStopped) this.#hands.mirror('rounds.over')
  }

  /** A wider round takes its members over from the one they were in. */
  #endRoundOf(child: Child): void {
    const { round } = child
    if (round === undefined) return
    this.#rounds.delete(round)
    round.cancelWait?.()
    if (this.#wide === round) this.#wide = undefined
    for (const member of round.members) {
      if (member.round !== round) continue
      member.round = undefined
      member.stopper = undefined
    }
  }

  /** Takes one child out of its round; the others go on. */
  #leaveRound(child: Child): void {
    const { round } = child
    if (round === undefined) return
    child.round = undefined
    child.nextTryAt = undefined
    if (round.members.some((member) => member.round === round)) {
      if (round.stage === 'starting' && child.status === 'starting') this.#startMembers(round)
      return
    }
    if (child.stopper === round) child.stopper = undefined
    this.#endRound(round)
  }

  /** A round is going to stop it, and has not yet. */
  #isAwaitingStop(child: Child): boolean {
    return child.round?.stage === 'stopping' && child.stopper === undefined
  }

  #failedBeforeItsStop(child: Child, failure: Failure): void {
    const comesBack = child.policy.restart !== 'temporary'
    const decision = comesBack ? 'restart' : 'stop'
    addToTrail(failure, { path: this.#path, decision, by: 'round' })
    this.#hands.report(failure, decision)
    if (comesBack) return this.#set(child, 'restarting')
    this.#isOverForGood(child)
  }

  #endedBeforeItsStop(child: Child): void {
    if (child.policy.restart === 'permanent') return this.#set(child, 'restarting')
    this.#isOverForGood(child)
  }

  // Stopping

  #stop(child: Child): void {
    this.#set(child, 'stopping')
    if (this.#isKilling) this.#hands.kill(child)
    else this.#hands.stop(child)
  }

  #isDown(child: Child): void {
    const { stopper } = child
    child.stopper = undefined
    const waiter = child.startWaiter
    child.startWaiter = undefined
    waiter?.reject(new SupervisorStoppedError(this.#path, 'startChild'))
    const isForGood = child.stopWaiters !== undefined || child.round === undefined || this.isStopped
    if (isForGood) this.#settleDown(child)
    else if (child.policy.restart === 'temporary') this.#settleDown(child)
    else this.#set(child, 'restarting')
    this.#answerStopWaiters(child)
    if (stopper !== undefined && this.#rounds.has(stopper)) {
      if (child.isDynamic) stopper.pending -= 1
      if (stopper.pending === 0) this.#stopMembers(stopper)
    }
    if (this.isStopped) this.#goOnStopping(child)
  }

  /** Down, and nothing starts it by itself any more. */
  #settleDown(child: Child): void {
    child.nextTryAt = undefined
    child.upAt = undefined
    child.verdict = undefined
    const { round } = child
    child.round = undefined
    this.#set(child, 'stopped')
    if (child.isDynamic || child.policy.restart === 'temporary') this.forget(child)
    if (round === undefined || this.isStopped || !this.#rounds.has(round)) return
    if (round.stage === 'starting') this.#startMembers(round)
    else if (round.members.every((member) => member.round !== round)) this.#endRound(round)
  }

  /** Ended or failed by itself, and is not coming back: it may take its supervisor along. */
  #isOverForGood(child: Child): void {
    this.#settleDown(child)
    if (!child.policy.significant || this.isStopped) return
    const { autoShutdown } = this.#definition
    if (autoShutdown === 'any' || (autoShutdown === 'all' && this.#significant === 0)) this.stop()
  }

  #answerStopWaiters(child: Child): void {
    const waiters = child.stopWaiters
    child.stopWaiters = undefined
    for (const waiter of waiters ?? []) waiter.resolve()
  }

  #giveUp(child: Child | undefined, failure: Failure): void {
    this.#failure = failure
    this.#phase = 'stopping'
    if (child !== undefined) this.#settleDown(child)
    this.#hands.mirror('gave up', failure)
    this.#stopAll()
  }

  #stopAll(): void {
    this.#phase = 'stopping'
    for (const round of this.#rounds) round.cancelWait?.()
    this.#rounds.clear()
    this.#wide = undefined
    for (const step of this.#deferred.splice(0)) step(true)
    for (const child of [...this.dynamics, ...this.statics]) {
      child.round = undefined
      child.stopper = undefined
      if (child.status === 'restarting') this.#set(child, 'stopped')
    }
    this.#cursor = this.statics.last
    for (const child of this.dynamics) {
      if (!child.isAlive) continue
      this.#pending += 1
      if (child.status !== 'stopping') this.#stop(child)
      else if (this.#isKilling) this.#hands.kill(child)
    }
    if (this.#pending === 0) this.#stopNext()
  }

  #stopNext(): void {
    for (; this.#cursor !== undefined; this.#cursor = this.#cursor.before) {
      const child = this.#cursor
      if (!child.isAlive) continue
      if (child.status !== 'stopping') this.#stop(child)
      else if (this.#isKilling) this.#hands.kill(child)
      return
    }
    this.#phase = 'over'
    this.#hands.mirror('children.down')
    this.#hands.over(this.#failure === undefined ? {} : { failure: this.#failure, started: this.#hasStarted })
  }

  #goOnStopping(child: Child): void {
    if (this.#phase !== 'stopping') return
    if (child.isDynamic) {
      this.#pending -= 1
      if (this.#pending === 0) this.#stopNext()
    } else if (this.#cursor === child && this.#pending === 0) {
      this.#stopNext()
    }
  }

  // Bookkeeping

  #set(child: Child, status: ChildStatus): void {
    if (child.status === status) return
    if (child.policy.significant) {
      if (child.status === 'stopped') this.#significant += 1
      else if (status === 'stopped') this.#significant -= 1
    }
    this.#counts[child.status] -= 1
    this.#counts[status] += 1
    child.status = status
  }

  /** One event at a time: what an order causes at once waits until the step that gave it is over. */
  #do(step: () => void): void {
    this.#steps.push(step)
    if (this.#isBusy) return
    this.#isBusy = true
    for (let at = 0; at < this.#steps.length; at += 1) (this.#steps[at] as () => void)()
    this.#steps.length = 0
    this.#isBusy = false
  }
}

const isPlainResume = (decision: Decision): boolean =>
  decision.decision === 'resume' && !('hasValue' in decision && decision.hasValue)

function entryOf(path: string, verdict: Verdict, decision: DecisionName): Parameters<typeof addToTrail>[1] {
  const asked = verdict.decision.decision
  return {
    path,
    decision,
    by: verdict.by,
    ...(asked !== decision && { asked }),
    ...('because' in verdict && { because: verdict.because }),
  }
}
