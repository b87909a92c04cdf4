import { ChildStoppedError, SupervisorStoppedError } from '../errors.ts'
import type { Failure } from '../failure.ts'
import type { Supervisor } from '../supervisor.ts'
import type { ChildList } from './child-list.ts'
import type { Child, Waiter } from './child.ts'
import type { Hands } from './hands.ts'
import { Roster, type Counts } from './roster.ts'
import { Rounds } from './rounds.ts'
import { Rulings } from './rulings.ts'
import { Steps } from './steps.ts'
import { Takedown } from './takedown.ts'
import type { Verdict } from './verdict.ts'

type Phase = 'starting' | 'running' | 'stopping' | 'over'

/**
 * The core of a supervisor: what happens to which child, and when. No timer, no actor, no callback of a user's: those are
 * behind `Hands`, so that every order of events can be tested. Each event is worked to its end before the next.
 */
export class Supervision {
  readonly path: string
  readonly #definition: Supervisor
  readonly #hands: Hands
  readonly #roster: Roster = new Roster()
  readonly #rounds: Rounds
  readonly #rulings: Rulings
  readonly #takedown: Takedown
  readonly #steps = new Steps()
  #phase: Phase = 'starting'
  #hasStarted = false
  #failure: Failure | undefined
  /** The static child whose turn it is, while starting. */
  #cursor: Child | undefined
  /** A significant child ended for good before all were up. */
  #isShutdownDue = false
  /** What waits until all of the definition are up: undecided ends, and starts that were asked for meanwhile. */
  readonly #later: Child[] = []

  constructor(path: string, definition: Supervisor, hands: Hands) {
    this.path = path
    this.#definition = definition
    this.#hands = hands
    this.#rulings = new Rulings(path, definition, hands)
    this.#takedown = new Takedown(this.#roster, {
      stop: (child) => this.#stop(child),
      kill: (child) => hands.kill(child),
      over: () => this.#isOver(),
    })
    this.#rounds = new Rounds(definition, this.#roster, {
      now: () => hands.now(),
      random: () => hands.random(),
      start: (child) => this.#start(child),
      stop: (child) => this.#stop(child),
      wait: (ms, callback) => hands.wait(ms, callback),
      step: (step) => this.#steps.do(step),
      began: (round) => {
        hands.mirror('round.began')
        hands.began(round)
      },
      over: () => hands.mirror('rounds.over'),
    })
  }

  get statics(): ChildList {
    return this.#roster.statics
  }

  get dynamics(): ChildList {
    return this.#roster.dynamics
  }

  get counts(): Counts {
    return this.#roster.counts
  }

  get isStopped(): boolean {
    return this.#phase === 'stopping' || this.#phase === 'over'
  }

  // Orders from above and from the admin API

  /** Takes a child in, without starting it. */
  add(child: Child): void {
    this.#roster.add(child)
  }

  /** Starts the static children in order. */
  begin(): void {
    this.#steps.do(() => {
      for (const child of this.statics) this.#roster.set(child, 'starting')
      this.#cursor = this.statics.first
      this.#startNext()
    })
  }

  /** Starts a child somebody waits for; that one is told if it does not start. */
  startFor(child: Child, waiter: Waiter): void {
    this.#steps.do(() => {
      const why = this.#roster.whyNoStart(child, this.path)
      if (why !== undefined) return waiter.reject(why)
      child.startWaiter = waiter
      if (this.isStopped) return this.#giveBack(child)
      this.#roster.set(child, 'starting')
      if (this.#phase === 'starting') this.#later.push(child)
      else this.#start(child)
    })
  }

  /** It took too long to start. */
  failStart(failure: Failure): void {
    this.#steps.do(() => {
      if (this.#phase === 'starting') this.#giveUp(undefined, failure)
    })
  }

  /** Stops a child for good. */
  stopChild(child: Child, waiter: Waiter): void {
    this.#steps.do(() => {
      if (!child.isAlive) {
        this.#stopDown(child)
        return waiter.resolve()
      }
      child.stopWaiters ??= []
      child.stopWaiters.push(waiter)
      if (child.status !== 'stopping' && !this.isStopped) this.#stop(child)
    })
  }

  /** Forgets a stopped child. */
  forget(child: Child): void {
    if (this.#roster.remove(child)) this.#hands.forgotten(child)
  }

  stop(): void {
    this.#steps.do(() => this.#stopIfUp())
  }

  /** Stops everything without asking anybody. */
  kill(): void {
    this.#steps.do(() => {
      if (this.#phase === 'over') return
      this.#takedown.kill()
      this.#stopIfUp()
    })
  }

  // What becomes of children

  ready(child: Child, generation: number): void {
    this.#steps.do(() => {
      if (!isCurrent(child, generation) || child.status !== 'starting') return
      this.#isUp(child)
      if (this.#cursor === child && this.#phase === 'starting') return this.#startAfter(child)
      this.#rounds.cameUp(child)
    })
  }

  ended(child: Child, generation: number, output: unknown): void {
    this.#steps.do(() => {
      if (!isCurrent(child, generation)) return
      child.incarnation = undefined
      if (child.status === 'starting') this.#isUp(child) // it has started, and ended
      this.#hands.ended(child, output)
      if (this.isStopped || child.status === 'stopping') return this.#isDown(child)
      if (this.#phase === 'starting') return this.#endedTooSoon(child)
      if (this.#rounds.isAwaitingStop(child)) return this.#endedBeforeItsStop(child)
      this.#applyEnd(child)
    })
  }

  failed(child: Child, generation: number, failure: Failure): void {
    this.#steps.do(() => {
      if (!isCurrent(child, generation)) return
      const { verdict } = child
      child.incarnation = undefined
      child.verdict = undefined
      child.undecided = undefined
      if (this.isStopped || child.status === 'stopping') return this.#failedWhileStopping(child, failure)
      if (this.#phase === 'starting') return this.#decideLater(child, failure)
      if (this.#rounds.isAwaitingStop(child)) return this.#failedBeforeItsStop(child, failure)
      this.#apply(child, failure, verdict?.failure === failure ? verdict.verdict : this.#hands.judge(failure, child))
    })
  }

  didNotStart(child: Child, generation: number, failure: Failure): void {
    this.#steps.do(() => {
      if (!isCurrent(child, generation)) return
      child.incarnation = undefined
      child.upAt = undefined
      if (child.startWaiter !== undefined) return this.#answerFailedStart(child, failure)
      if (this.isStopped || child.status === 'stopping') return this.#failedWhileStopping(child, failure)
      if (this.#phase === 'starting') return this.#giveUp(child, failure)
      if (this.#rounds.isAwaitingStop(child)) return this.#failedBeforeItsStop(child, failure)
      this.#apply(child, failure, this.#hands.judge(failure, child))
    })
  }

  down(child: Child, generation: number): void {
    this.#steps.do(() => {
      if (!isCurrent(child, generation) || child.status !== 'stopping') return
      child.incarnation = undefined
      this.#isDown(child)
    })
  }

  /** Answers at once, also in the middle of another step: the actor waits. */
  threw(child: Child, failure: Failure): 'resume' | 'over' | 'later' {
    if (child.status !== 'running' || this.isStopped || this.#rounds.isAwaitingStop(child)) return 'over'
    if (this.#phase === 'starting') {
      child.undecided = { failure }
      this.#later.push(child)
      return 'later'
    }
    return this.#judgeThrow(child, failure)
  }

  // Starting

  #startNext(): void {
    for (; this.#cursor !== undefined; this.#cursor = this.#cursor.after) {
      const child = this.#cursor
      if (child.status === 'starting' && child.startWaiter === undefined) return this.#start(child)
    }
    this.#phase = 'running'
    this.#hasStarted = true
    this.#hands.mirror('children.ready')
    this.#hands.ready()
    for (const child of this.#later.splice(0)) this.#steps.do(() => this.#dealWith(child))
    if (this.#isShutdownDue) this.#steps.do(() => this.#shutDownIfDue())
  }

  #startAfter(child: Child): void {
    this.#cursor = child.after
    this.#startNext()
  }

  #start(child: Child): void {
    this.#roster.set(child, 'starting')
    child.generation += 1
    this.#hands.start(child)
  }

  #isUp(child: Child): void {
    this.#roster.set(child, 'running')
    if (this.#definition.backoff !== undefined) child.upAt ??= this.#hands.now() // nothing else asks
    child.isNew = false
    this.#hands.started(child)
    const waiter = child.startWaiter
    child.startWaiter = undefined
    waiter?.resolve()
  }

  #answerFailedStart(child: Child, failure: Failure): void {
    const waiter = child.startWaiter
    child.startWaiter = undefined
    waiter?.reject(failure)
    this.#isDownForGood(child)
  }

  /** Nobody can start it any more. */
  #giveBack(child: Child): void {
    const waiter = child.startWaiter
    child.startWaiter = undefined
    waiter?.reject(this.#whyNotStarted(child))
    this.#settleDown(child)
  }

  #whyNotStarted(child: Child): Error {
    return this.isStopped
      ? new SupervisorStoppedError(this.path, child.isDynamic ? 'spawn' : 'startChild')
      : new ChildStoppedError(this.path, child.name)
  }

  // What waits until all are up

  #endedTooSoon(child: Child): void {
    const { after } = child // it may be forgotten
    if (child.policy.restart === 'permanent') return this.#decideLater(child, undefined)
    this.#isOverForGood(child)
    if (this.#cursor !== child) return
    this.#cursor = after
    this.#startNext()
  }

  #decideLater(child: Child, failure: Failure | undefined): void {
    this.#roster.set(child, 'restarting')
    child.undecided = { failure }
    this.#later.push(child)
    if (this.#cursor === child) this.#startAfter(child)
  }

  #dealWith(child: Child): void {
    const { undecided } = child
    if (undecided === undefined) {
      if (child.status === 'starting' && !child.isAlive) this.#start(child)
      return
    }
    if (this.isStopped) return // it was told by then
    child.undecided = undefined
    const { failure } = undecided
    if (child.isAlive && failure !== undefined) return this.#hands.release(child, this.#judgeHeld(child, failure))
    const isTaken = child.round !== undefined // by the round of a sibling that was dealt with before
    if (failure === undefined) return isTaken ? this.#endedBeforeItsStop(child) : this.#applyEnd(child)
    if (isTaken) return this.#failedBeforeItsStop(child, failure)
    this.#apply(child, failure, this.#hands.judge(failure, child))
  }

  #judgeHeld(child: Child, failure: Failure): 'resume' | 'over' {
    return child.round === undefined ? this.#judgeThrow(child, failure) : 'over'
  }

  /** A stop came before a decision. What is held then fails, and is reported when it says so. */
  #leaveUndecided(child: Child): void {
    const { undecided } = child
    child.undecided = undefined
    if (undecided?.failure === undefined) return
    if (child.isAlive) this.#hands.release(child, 'over')
    else this.#rulings.whileStopping(undecided.failure)
  }

  // Deciding

  #judgeThrow(child: Child, failure: Failure): 'resume' | 'over' {
    const verdict = this.#hands.judge(failure, child)
    if (this.#rulings.isResumed(failure, verdict)) return 'resume'
    child.verdict = { failure, verdict }
    return 'over'
  }

  #apply(child: Child, failure: Failure, verdict: Verdict): void {
    switch (this.#rulings.onFailure(child, failure, verdict)) {
      case 'over':
        return this.#isOverForGood(child)
      case 'ended':
        this.#hands.ended(child, (verdict.decision as { readonly value?: unknown }).value)
        return this.#applyEnd(child)
      case 'restart':
        return this.#rounds.begin(child)
      case 'give up':
        return this.#giveUp(child, failure)
    }
  }

  #applyEnd(child: Child): void {
    const ruling = this.#rulings.onEnd(child)
    if (ruling === 'over') return this.#isOverForGood(child)
    if (ruling === 'restart') return this.#rounds.begin(child)
    this.#giveUp(child, ruling)
  }

  #failedBeforeItsStop(child: Child, failure: Failure): void {
    if (this.#rulings.inRound(child, failure)) return this.#roster.set(child, 'restarting')
    this.#isOverForGood(child)
  }

  #endedBeforeItsStop(child: Child): void {
    if (child.policy.restart === 'permanent') return this.#roster.set(child, 'restarting')
    this.#isOverForGood(child)
  }

  #failedWhileStopping(child: Child, failure: Failure): void {
    this.#rulings.whileStopping(failure)
    this.#isDown(child)
  }

  // Stopping one

  #stop(child: Child): void {
    this.#roster.set(child, 'stopping')
    this.#leaveUndecided(child)
    if (this.#takedown.isKilling) this.#hands.kill(child)
    else this.#hands.stop(child)
  }

  /** Stopped, or over in the meantime. */
  #isDown(child: Child): void {
    const { round } = child
    const waiter = child.startWaiter
    child.startWaiter = undefined
    waiter?.reject(this.#whyNotStarted(child))
    const comesBack = round !== undefined && child.stopWaiters === undefined && child.policy.restart !== 'temporary'
    if (this.isStopped || !comesBack) return this.#isDownForGood(child)
    this.#roster.set(child, 'restarting')
    this.#rounds.wentDown(child, round)
  }

  #isDownForGood(child: Child): void {
    const { before, after } = child // it may be forgotten
    this.#settleDown(child)
    const waiters = child.stopWaiters
    child.stopWaiters = undefined
    for (const waiter of waiters ?? []) waiter.resolve()
    if (this.#phase === 'stopping') return this.#takedown.wentDown(child, before)
    if (this.#cursor !== child) return
    this.#cursor = after
    this.#startNext()
  }

  /** It has no actor, and is not to get one. */
  #stopDown(child: Child): void {
    this.#leaveUndecided(child)
    if (child.startWaiter !== undefined) return this.#giveBack(child)
    if (child.status !== 'stopped') this.#settleDown(child)
  }

  /** Down, and nothing starts it by itself any more. */
  #settleDown(child: Child): void {
    child.upAt = undefined
    child.tries = 0
    child.verdict = undefined
    const round = this.#rounds.leave(child)
    this.#roster.set(child, 'stopped')
    if (child.isDynamic || child.isNew || child.policy.restart === 'temporary') this.forget(child)
    if (round !== undefined && !this.isStopped) this.#rounds.wentDown(child, round)
  }

  /** Ended or failed by itself, and is not coming back: it may take its supervisor along. */
  #isOverForGood(child: Child): void {
    this.#settleDown(child)
    if (!child.policy.significant || this.isStopped) return
    if (this.#phase === 'starting') this.#isShutdownDue = true
    else this.#shutDownIfDue()
  }

  #shutDownIfDue(): void {
    const { autoShutdown } = this.#definition
    if (autoShutdown === 'any' || (autoShutdown === 'all' && this.#roster.significant === 0)) this.stop()
  }

  // Stopping all

  #giveUp(child: Child | undefined, failure: Failure): void {
    this.#failure = failure
    this.#phase = 'stopping'
    if (child !== undefined) this.#settleDown(child)
    this.#hands.mirror('gave up', failure)
    this.#stopAll()
  }

  #stopIfUp(): void {
    if (this.isStopped) return
    this.#hands.mirror('shutdown')
    this.#stopAll()
  }

  #stopAll(): void {
    this.#phase = 'stopping'
    this.#cursor = undefined
    this.#rounds.cancel()
    this.#later.length = 0
    for (const child of this.#roster.all()) {
      if (!child.isAlive) this.#stopDown(child)
    }
    this.#takedown.begin()
  }

  #isOver(): void {
    this.#phase = 'over'
    this.#hands.mirror('children.down')
    this.#hands.over(this.#failure === undefined ? {} : { failure: this.#failure, started: this.#hasStarted })
  }
}

/** What an older incarnation says late changes nothing. */
const isCurrent = (child: Child, generation: number): boolean => child.generation === generation && child.isAlive
