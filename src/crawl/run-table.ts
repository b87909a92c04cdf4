import type { RequestRun } from './request-run.ts'

/** The requests a crawl has taken: by slot where they have a job, those whose lease is held, those between two tries. */
export class RunTable {
  /** Those that are fetched or handled. */
  running = 0
  /** By their jobs' slots. */
  readonly #runs: (RequestRun | undefined)[] = []
  readonly #free: number[] = []
  /** Those whose lease is held. */
  readonly #leased: RequestRun[] = []
  /** Those that wait in the broker for their next try. */
  readonly #parked = new Map<string, RequestRun>()

  get parked(): number {
    return this.#parked.size
  }

  at(slot: number): RequestRun {
    return this.#runs[slot] as RequestRun
  }

  withJob(): readonly RequestRun[] {
    return this.#runs.filter((run) => run !== undefined)
  }

  freeSlot(): number {
    return this.#free.pop() ?? this.#runs.length
  }

  place(run: RequestRun, slot: number): void {
    this.#runs[slot] = run
  }

  clear(slot: number): void {
    this.#runs[slot] = undefined
    this.#free.push(slot)
  }

  begins({ host }: RequestRun): void {
    this.running += 1
    host.running += 1
  }

  ends({ host }: RequestRun): void {
    this.running -= 1
    host.running -= 1
  }

  leased(): readonly RequestRun[] {
    return [...this.#leased]
  }

  lease(run: RequestRun): void {
    if (run.leasedAt !== -1) return
    run.leasedAt = this.#leased.length
    this.#leased.push(run)
  }

  /** Whether its lease was held. The last one takes its place: a Set would be rebuilt with every few pages. */
  unlease(run: RequestRun): boolean {
    const at = run.leasedAt
    if (at === -1) return false
    const last = this.#leased.pop() as RequestRun
    if (last !== run) {
      last.leasedAt = at
      this.#leased[at] = last
    }
    run.leasedAt = -1
    return true
  }

  park(run: RequestRun): void {
    this.#parked.set(run.id, run)
  }

  unpark(id: string): RequestRun | undefined {
    const run = this.#parked.get(id)
    this.#parked.delete(id)
    return run
  }

  unparkAll(): readonly RequestRun[] {
    const runs = [...this.#parked.values()]
    this.#parked.clear()
    return runs
  }
}
