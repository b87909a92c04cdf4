import { allows, charge, createSlidingWindow, type SlidingWindow } from '../sliding-window.ts'

export type CircuitState = 'closed' | 'open' | 'half-open'

/** When a circuit opens and closes again; all times in ms. */
export interface CircuitRules {
  /** So many counted failures open it. */
  readonly failures: number
  /** Undefined: in a row. Else: within this time, however many succeeded between them. */
  readonly within: number | undefined
  /** How long it stays open the n-th time in a row. */
  readonly reset: (n: number) => number
  /** So many attempts at once while it is half-open, and so many in a row have to succeed. */
  readonly probes: number
  /** A probe that takes longer gives its place to another. */
  readonly probeTime: number
}

/** An attempt that began. Its end counts only while nothing changed in between. */
export interface Try {
  readonly era: number
  readonly at: number
}

/** One place for a probe. */
interface Promised {
  readonly worker: string
  readonly until: number
}

export type TryEnd = 'success' | 'failure' | 'neither'

/**
 * One circuit, as a function of what it is told and when. It has no timers: an open circuit becomes half-open when
 * somebody asks after its time.
 */
export class Circuit {
  readonly #rules: CircuitRules
  readonly #changed: (state: CircuitState, now: number) => void
  #state: CircuitState = 'closed'
  /** Counts the changes. */
  #era = 0
  #inRow = 0
  #window: SlidingWindow
  #openUntil = 0
  /** How often it opened since it was last closed. */
  #openings = 0
  #succeeded = 0
  readonly #probes = new Set<Try>()
  /** Places given to workers that have not begun with them yet, the oldest first. */
  #promised: readonly Promised[] = []
  /** What asks those workers again that found no place. */
  readonly #refused = new Set<() => void>()

  constructor(rules: CircuitRules, changed: (state: CircuitState, now: number) => void) {
    this.#rules = rules
    this.#changed = changed
    this.#window = this.#emptyWindow()
  }

  /** What it is at `now`; an open one whose time is over is half-open as soon as somebody asks for places. */
  get state(): CircuitState {
    return this.#state
  }

  /** When an open one lets the first probe through. */
  get openUntil(): number | undefined {
    return this.#state === 'open' ? this.#openUntil : undefined
  }

  /** How many attempts `worker` may begin, undefined for any number. `again` is called when the answer may have changed. */
  ask(
    worker: string,
    { free, again, now }: { readonly free: number; readonly again: () => void; readonly now: number },
  ): { readonly limit: number; readonly again?: number } | undefined {
    this.#wakeUp(now)
    if (this.#state === 'closed') return undefined
    if (this.#state === 'open') return { limit: 0, again: this.#openUntil - now }
    this.#freeLostPlaces(now)
    const taken = this.#probes.size + this.#promised.length
    const limit = Math.min(free, Math.max(0, this.#rules.probes - taken))
    const given = Array.from({ length: limit }, (): Promised => ({ worker, until: now + PROMISE }))
    this.#promised = [...this.#promised, ...given]
    // One that has no job for its place is asked when it gets one; asking sooner only keeps it from those who have.
    if (limit > 0) return { limit }
    this.#refused.add(again)
    return { limit, again: this.#nextLostPlace() - now }
  }

  begin(worker: string, now: number): Try {
    this.#wakeUp(now)
    const begun: Try = { era: this.#era, at: now }
    if (this.#state !== 'half-open') return begun
    this.#probes.add(begun)
    const promised = this.#promised.find((place) => place.worker === worker)
    this.#promised = this.#promised.filter((place) => place !== promised)
    return begun
  }

  end(begun: Try, how: TryEnd, now: number): void {
    if (begun.era !== this.#era) return // it says nothing about how things are since the change
    if (this.#state === 'half-open') return this.#endProbe(begun, how, now)
    if (how === 'success') this.#inRow = 0
    if (how === 'failure' && this.#isTooMany(now)) this.#open(now)
  }

  #endProbe(begun: Try, how: TryEnd, now: number): void {
    this.#probes.delete(begun)
    if (how === 'failure') return this.#open(now)
    if (how === 'success') this.#succeeded += 1
    if (this.#succeeded === this.#rules.probes) this.#close(now)
    else this.#askRefused()
  }

  #isTooMany(now: number): boolean {
    if (this.#rules.within === undefined) return ++this.#inRow >= this.#rules.failures
    if (!allows(this.#window, now)) return true
    charge(this.#window, now)
    return false
  }

  #wakeUp(now: number): void {
    if (this.#state === 'open' && now >= this.#openUntil) this.#become('half-open', now)
  }

  #open(now: number): void {
    this.#openings += 1
    this.#openUntil = now + this.#rules.reset(this.#openings)
    this.#become('open', now)
  }

  #close(now: number): void {
    this.#openings = 0
    this.#become('closed', now)
  }

  #become(state: CircuitState, now: number): void {
    this.#state = state
    this.#era += 1
    this.#inRow = this.#succeeded = 0
    this.#window = this.#emptyWindow()
    this.#probes.clear()
    this.#promised = []
    this.#askRefused()
    this.#changed(state, now)
  }

  #askRefused(): void {
    const refused = [...this.#refused]
    this.#refused.clear()
    for (const again of refused) again()
  }

  /** When the first place is free although nobody says so. */
  #nextLostPlace(): number {
    const probes = [...this.#probes].map(({ at }) => at + this.#rules.probeTime)
    return Math.min(...probes, ...this.#promised.map(({ until }) => until))
  }

  #freeLostPlaces(now: number): void {
    for (const probe of this.#probes) if (now - probe.at >= this.#rules.probeTime) this.#probes.delete(probe)
    this.#promised = this.#promised.filter(({ until }) => now < until)
  }

  /** One failure more than it allows is the one that opens. */
  #emptyWindow(): SlidingWindow {
    return createSlidingWindow(this.#rules.failures - 1, this.#rules.within ?? 0)
  }
}

/** How long a worker has to begin with what it was promised: its queue may be empty. */
const PROMISE = 1_000
