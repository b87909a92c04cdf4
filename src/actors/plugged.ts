import type { AnyActorRef } from 'xstate'
import type { DropReason } from '../events.ts'
import { Failure } from '../failure.ts'
import type { Plugin } from '../plugin.ts'
import type { Incarnation } from './incarnation.ts'
import { haveLives, Lives } from './lives.ts'
import type { Place, Reports } from './reports.ts'

/** One life of a child whose plugins are set up before it starts, and torn down once it is down. */
export function plugged(
  plugins: readonly Plugin[],
  timeout: number | undefined,
  place: Place,
  reports: Reports,
  make: (reports: Reports) => Incarnation,
): Incarnation {
  return haveLives(plugins)
    ? new Plugged(new Lives(place.tree, place.path, plugins, timeout), place, reports, make)
    : make(reports)
}

class Plugged implements Incarnation {
  readonly #lives: Lives
  readonly #place: Place
  readonly #reports: Reports
  readonly #inside: Incarnation
  #phase: 'setting up' | 'live' | 'ending' | 'over' = 'setting up'
  /** What to say once it is torn down. */
  #lastWord: () => void = () => {}
  #isAsked = false

  constructor(lives: Lives, place: Place, reports: Reports, make: (reports: Reports) => Incarnation) {
    this.#lives = lives
    this.#place = place
    this.#reports = reports
    this.#inside = make({
      path: reports.path,
      ready: () => reports.ready(),
      threw: (failure) => reports.threw(failure),
      ended: (output) => this.#end(() => reports.ended(output)),
      failed: (failure) => this.#end(() => reports.failed(failure)),
      didNotStart: (failure) => this.#end(() => reports.didNotStart(failure)),
      down: () => this.#end(() => reports.down()),
    })
  }

  get actor(): AnyActorRef | undefined {
    return this.#phase === 'setting up' ? undefined : this.#inside.actor
  }

  start(): void {
    try {
      const later = this.#lives.setUp()
      if (later === undefined) this.#begin()
      else
        later.then(
          () => this.#begin(),
          (error: unknown) => this.#didNotSetUp(error),
        )
    } catch (error) {
      this.#didNotSetUp(error)
    }
  }

  stop(): void {
    if (this.#phase === 'setting up') this.#isAsked = true
    else if (this.#phase === 'live') this.#inside.stop()
  }

  /** Nothing is waited for any more; what is to be torn down still is. */
  kill(): void {
    if (this.#phase === 'live') {
      this.#phase = 'ending'
      this.#lastWord = () => this.#reports.down()
      this.#inside.kill()
    }
    if (this.#phase === 'setting up') {
      this.#lastWord = () => this.#reports.down()
      void this.#lives.tearDown()
    }
    this.#say()
  }

  send(event: unknown): true | DropReason {
    return this.#phase === 'setting up' ? 'starting' : this.#inside.send(event)
  }

  decide(decision: 'resume' | 'over'): void {
    this.#inside.decide(decision)
  }

  #begin(): void {
    if (this.#phase !== 'setting up') return void this.#lives.tearDown() // killed meanwhile
    if (this.#isAsked) return this.#end(() => this.#reports.down())
    this.#phase = 'live'
    this.#inside.start()
  }

  #didNotSetUp(error: unknown): void {
    if (this.#phase !== 'setting up') return
    const { tree, path, generation } = this.#place
    const failure = new Failure({ error, path, kind: 'start', at: tree.clock.now(), generation })
    this.#end(() => (this.#isAsked ? this.#reports.down() : this.#reports.didNotStart(failure)))
  }

  #end(lastWord: () => void): void {
    if (this.#phase === 'over') return
    const isKilled = this.#phase === 'ending'
    if (!isKilled) this.#lastWord = lastWord
    this.#phase = 'ending'
    const later = this.#lives.tearDown()
    if (later === undefined || isKilled) this.#say()
    else void later.then(() => this.#say())
  }

  #say(): void {
    if (this.#phase === 'over') return
    this.#phase = 'over'
    this.#lastWord()
  }
}
