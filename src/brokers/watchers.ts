import type { Elsewhere } from './broker.ts'

/** Those who wait for jobs of a queue, and those who wait for what happens elsewhere; they outlast a reopening. */
export class Watchers {
  readonly byQueue: Map<string, Set<() => void>> = new Map()
  readonly listeners: Set<Elsewhere> = new Set()

  get isEmpty(): boolean {
    return this.byQueue.size === 0 && this.listeners.size === 0
  }

  add(queue: string, wake: () => void): () => void {
    const known = this.byQueue.get(queue)
    if (known === undefined) this.byQueue.set(queue, new Set([wake]))
    else known.add(wake)
    return () => {
      const left = this.byQueue.get(queue)
      left?.delete(wake)
      if (left?.size === 0) this.byQueue.delete(queue)
    }
  }

  wake(queue: string): void {
    for (const wake of this.byQueue.get(queue) ?? []) wake()
  }
}
