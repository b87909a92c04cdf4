import type { JobHookEvent } from '../plugin.ts'

const MOST = 10_000

/**
 * What a plugin keeps of a job between two hooks. Jobs of other systems are apart, for their paths may be the same. It
 * is bounded, the oldest leave first: a job whose lease is lost ends somewhere else, and no hook here is told.
 */
export class PerJob<Value> {
  readonly #systems = new WeakMap<object, Map<string, Value>>()

  set({ broker, run }: JobHookEvent, value: Value): void {
    const kept = this.#systems.get(broker) ?? new Map<string, Value>()
    this.#systems.set(broker, kept)
    kept.delete(run.path) // so that it is the newest again
    kept.set(run.path, value)
    if (kept.size <= MOST) return
    const [oldest] = kept.keys()
    if (oldest !== undefined) kept.delete(oldest)
  }

  get({ broker, run }: JobHookEvent): Value | undefined {
    return this.#systems.get(broker)?.get(run.path)
  }

  /** Gives it, and keeps it no longer. */
  take(event: JobHookEvent): Value | undefined {
    const value = this.get(event)
    this.#systems.get(event.broker)?.delete(event.run.path)
    return value
  }
}
