import { EventEmitter } from 'eventemitter3'
import type { DecisionName } from './decision.ts'
import type { Failure } from './failure.ts'

/** What every event of one child carries: whose it is and which of its lives. */
interface OfActor {
  readonly path: string
  readonly generation: number
}

/** What every event of one job carries. */
interface OfJob {
  readonly path: string
  readonly id: string
  /** 0 before the first attempt. */
  readonly attempt: number
}

/** Why a message reached nobody. `invalid`: it is no object with a `type`. */
export type DropReason = 'starting' | 'restarting' | 'failed' | 'stopped' | 'ended' | 'invalid'

/** Everything that can be observed, by name, in the past tense. */
export interface EventData {
  readonly 'system.started': { readonly path: string }
  /** `failure` is the one that stopped it, absent after `stop()`. */
  readonly 'system.stopped': { readonly path: string; readonly failure?: Failure }
  readonly 'actor.started': OfActor
  /** It ended by itself, without a failure. */
  readonly 'actor.ended': OfActor & { readonly output: unknown }
  readonly 'actor.stopped': OfActor & { readonly how: 'stopped' | 'killed' }
  /** A supervisor began a round of restarts: these children, after this wait. */
  readonly 'supervisor.restarting': OfActor & { readonly children: readonly string[]; readonly delay: number }
  /** Each failure exactly once, however far it climbed. */
  readonly 'failure.decided': { readonly failure: Failure; readonly decision: DecisionName }
  readonly 'message.dropped': OfActor & { readonly event: unknown; readonly reason: DropReason }
  /** A request was not accepted, or not fetched after all. */
  readonly 'request.dropped': {
    /** Of the spider. */
    readonly path: string
    readonly name: string
    readonly url: string
    readonly because: 'duplicate' | 'robots' | 'depth' | 'bad-url' | 'domain' | 'limit' | 'refused'
  }
  /** No page of this host is fetched until then, because it asked for that or failed too often. */
  readonly 'host.paused': {
    readonly path: string
    readonly until: number
    readonly because: 'throttled' | 'errors'
  }
  readonly 'host.resumed': { readonly path: string }
  /** More items wait for their reader than are kept. */
  readonly 'crawl.paused': { readonly path: string; readonly unread: number }
  readonly 'crawl.unpaused': { readonly path: string }
  readonly 'worker.paused': { readonly path: string }
  readonly 'worker.unpaused': { readonly path: string }
  /**
   * A tick made no job: another one, the job of the tick before or of the same key, is `unfinished`; or the task refused
   * it, and `job.refused` says why. `tick` is the time it was for.
   */
  readonly 'schedule.skipped': {
    readonly path: string
    readonly tick: number
    readonly because: 'unfinished' | 'refused'
    /** Id of the job that stood in its way. */
    readonly unfinished?: string
  }
  /** Nothing was queued: the input does not fit, or cannot be kept. */
  readonly 'job.refused': { readonly path: string; readonly error: unknown }
  /** `by` is the path of the job that asked for it, if it was one. */
  readonly 'job.added': OfJob & { readonly duplicate: boolean; readonly by?: string }
  readonly 'job.started': OfJob
  readonly 'job.progress': OfJob & { readonly value: unknown }
  readonly 'job.log': OfJob & { readonly level: string; readonly message: string; readonly data?: object }
  readonly 'job.retrying': OfJob & { readonly delay: number; readonly charged: boolean; readonly error: unknown }
  readonly 'job.answered': OfJob & { readonly plugin: string }
  readonly 'job.done': OfJob & { readonly value: unknown }
  readonly 'job.fellBack': OfJob & { readonly value: unknown; readonly failure: Failure }
  readonly 'job.failed': OfJob & { readonly failure: Failure }
  /** Its attempts are spent and nobody above helped: it is kept as a dead letter. Follows `job.failed`. */
  readonly 'dead.added': OfJob & { readonly failure: Failure }
  readonly 'job.cancelled': OfJob & { readonly reason: unknown }
  /** A new incarnation begins, as decided above. */
  readonly 'job.restarted': OfJob & { readonly generation: number }
  /** Its lease was lost: another worker may have it, what this one says is not written. */
  readonly 'job.lost': OfJob
  /** Something settled after its state was left; it changed nothing. */
  readonly 'job.late': OfJob & { readonly outcome: 'value' | 'error'; readonly error?: unknown }
  /** Its updates come in now. */
  readonly 'poller.connected': { readonly path: string }
  /** A call that the poller depends on came to nothing; it is made again after the wait. */
  readonly 'poller.retrying': { readonly path: string; readonly delay: number; readonly error: unknown }
  /** A poll was not over so many ms after it should have been; it was aborted. */
  readonly 'poller.stalled': { readonly path: string; readonly after: number }
  /** The bot listens for updates of these kinds, and Telegram was not asked to send them. */
  readonly 'poller.unlisted': { readonly path: string; readonly kinds: readonly string[] }
  /** Updates below this id are finished, and Telegram could not be told: they may come again. */
  readonly 'poller.unconfirmed': { readonly path: string; readonly offset: number; readonly error: unknown }
  /** So many updates were confirmed while they ran, to make room for others: a kill now would lose them. */
  readonly 'update.released': { readonly path: string; readonly count: number }
  /** A plugin threw where it could only watch, or while it was asked. `id` and `attempt` are those of the job, if any. */
  readonly 'plugin.failed': Partial<OfJob> & {
    readonly path: string
    readonly plugin: string
    readonly hook: string
    readonly error: unknown
  }
  /** The inspector listens at `url`; the link that opens it is announced, and is no part of any event. */
  readonly 'inspector.started': { readonly path: string; readonly url: string }
  /** Somebody came to look, or left. */
  readonly 'inspector.viewed': { readonly path: string; readonly viewers: number }
  /** Somebody acted through the inspector. */
  readonly 'inspector.used': { readonly path: string; readonly action: string; readonly target: string }
  /** The inspector could not do its work; the system never notices. */
  readonly 'inspector.failed': { readonly path: string; readonly error: unknown }
  /** A function of the user's that only watches or advises threw: a listener, an observer, a logger, `retry.when`. */
  readonly 'callback.failed': { readonly path: string; readonly callback: string; readonly error: unknown }
}

export type EventName = keyof EventData

/** An event as listeners get it. `at` is the system's clock, in ms. */
export type EventOf<Name extends EventName> = {
  readonly [N in Name]: { readonly type: N; readonly at: number } & EventData[N]
}[Name]

export type AnyEvent = EventOf<EventName>

export type Listener<Name extends EventName | '*'> = (event: Name extends EventName ? EventOf<Name> : AnyEvent) => void

type Guarded = (event: AnyEvent) => void

/** The events of one system: nobody who listens can harm it or another listener. */
export class Events {
  readonly #emitter = new EventEmitter<string>()
  readonly #guarded = new WeakMap<Listener<never>, Guarded>()
  readonly #now: () => number
  /** Whether anybody listens to anything; may be wrong after a `once`, and then costs what asking costs. */
  #isHeard = false
  readonly #threw: (path: string, callback: string, error: unknown) => void

  /** `threw` is told of listeners that throw. */
  constructor(now: () => number, threw: (path: string, callback: string, error: unknown) => void) {
    this.#now = now
    this.#threw = threw
  }

  on<Name extends EventName | '*'>(name: Name, listener: Listener<Name>): void {
    this.#isHeard = true
    this.#emitter.on(name, this.#guard(listener))
  }

  once<Name extends EventName | '*'>(name: Name, listener: Listener<Name>): void {
    this.#isHeard = true
    this.#emitter.once(name, this.#guard(listener))
  }

  off<Name extends EventName | '*'>(name: Name, listener: Listener<Name>): void {
    const guarded = this.#guarded.get(listener as Listener<never>)
    if (guarded !== undefined) this.#emitter.off(name, guarded) // without a listener it would take off all of them
    this.#isHeard = this.#emitter.eventNames().length > 0
  }

  /** Whether anybody would hear it; ask before making an event that happens per job. */
  hears(name: EventName): boolean {
    if (!this.#isHeard) return false
    return this.#emitter.listenerCount(name) > 0 || this.#emitter.listenerCount('*') > 0
  }

  emit<Name extends EventName>(name: Name, data: EventData[Name]): void {
    if (!this.#isHeard) return
    const isNamed = this.#emitter.listenerCount(name) > 0
    const isAnyHeard = this.#emitter.listenerCount('*') > 0
    if (!isNamed && !isAnyHeard) return
    const event = { type: name, at: this.#now(), ...data }
    if (isNamed) this.#emitter.emit(name, event)
    if (isAnyHeard) this.#emitter.emit('*', event)
  }

  removeAll(): void {
    this.#emitter.removeAllListeners()
  }

  #guard(listener: Listener<never>): Guarded {
    const known = this.#guarded.get(listener)
    if (known !== undefined) return known
    const guarded: Guarded = (event) => {
      const report = (error: unknown): void => {
        if (event.type === 'callback.failed') return // a listener of reports that throws is not reported to itself
        this.#threw('path' in event ? event.path : '', `listener of ${event.type}`, error)
      }
      try {
        const result = (listener as (event: AnyEvent) => unknown)(event)
        if (result instanceof Promise) result.catch(report)
      } catch (error) {
        report(error)
      }
    }
    this.#guarded.set(listener, guarded)
    return guarded
  }
}
