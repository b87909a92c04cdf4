import type { AnyActorRef } from 'xstate'
import type { Clock } from '../clock.ts'

/** What XState keeps delayed events with; not part of its types. */
interface Scheduler {
  schedule(source: AnyActorRef, target: AnyActorRef, event: unknown, delay: number, id?: string): void
  cancel(source: AnyActorRef, id: string): void
  cancelAll(source: AnyActorRef): void
}

/**
 * The delayed events of users' machines, found by whose they are. XState itself looks through all timers of a system
 * whenever an actor ends, which makes the stop of 8 000 machines with an `after` take seconds (facts of XState 5.33).
 */
export class MachineTimers {
  /** To be given to the system as its clock. */
  readonly clock: { setTimeout(callback: () => void, ms: number): unknown; clearTimeout(timer: unknown): void }
  readonly #ids = new Map<AnyActorRef, Set<string>>()
  /** Whose timer is being set. */
  #setting: { readonly source: AnyActorRef; readonly id: string } | undefined

  constructor(clock: Clock) {
    this.clock = {
      setTimeout: (callback, ms) => {
        const setting = this.#setting
        if (setting === undefined) return clock.setTimeout(callback, ms)
        return clock.setTimeout(() => {
          this.#forget(setting.source, setting.id)
          callback()
        }, ms)
      },
      clearTimeout: (timer) => clock.clearTimeout(timer),
    }
  }

  attach(system: object): void {
    const { scheduler } = system as { scheduler?: Partial<Scheduler> }
    const { schedule, cancel, cancelAll } = scheduler ?? {}
    // Another XState may keep them otherwise; its own way is slow with thousands of timers, and right.
    if (!scheduler || !schedule || !cancel || !cancelAll) return
    scheduler.schedule = (source, target, event, delay, id = Math.random().toString(36).slice(2)) => {
      this.#remember(source, id)
      this.#setting = { source, id }
      schedule(source, target, event, delay, id)
      this.#setting = undefined
    }
    scheduler.cancel = (source, id) => {
      this.#forget(source, id)
      cancel(source, id)
    }
    scheduler.cancelAll = (source) => {
      if (this.#ids.size === 0) return
      const ids = this.#ids.get(source)
      this.#ids.delete(source)
      for (const id of ids ?? []) cancel(source, id)
    }
  }

  #remember(source: AnyActorRef, id: string): void {
    const ids = this.#ids.get(source)
    if (ids === undefined) this.#ids.set(source, new Set([id]))
    else ids.add(id)
  }

  #forget(source: AnyActorRef, id: string): void {
    const ids = this.#ids.get(source)
    if (ids?.delete(id) === true && ids.size === 0) this.#ids.delete(source)
  }
}
