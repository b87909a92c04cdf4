import type { Clock } from '../clock.ts'
import type { Duration } from '../duration.ts'
import { readDuration } from '../options.ts'
import { readDomains, type DomainMatch, type DomainTable } from './domains.ts'
import { HostPace, type HostChange, type HostOutcome } from './host-pace.ts'
import type { SharedTurns } from './shared-turns.ts'
import { readPace, type DomainPace, type Pace, type PerHostOptions } from './politeness-options.ts'
import { originOf } from './url-parts.ts'

export interface PolitenessOptions {
  /** Every host, by name and port. */
  readonly perHost?: PerHostOptions
  /** Hosts that are treated differently; the longest match counts. */
  readonly domains?: DomainTable<DomainPace>
  /** The longest a host is left alone because it asked for it. @default '10m' */
  readonly maxRetryAfter?: Duration
}

/** Something happened to a host as a whole. */
export type HostEvent = HostChange & { readonly host: string }

export interface PolitenessParts {
  readonly clock: Clock
  readonly random?: () => number
  /** Told of pauses and of what ends them. */
  readonly onChange?: (event: HostEvent) => void
}

/** How soon is asked again while the hosts are handed over. */
const SHARING = 20
const SWEEP_FROM = 1000
const FORGIVEN_AFTER = 600_000

/** Leave to ask a host for one page; it ends with what came of it. */
export interface Turn {
  readonly host: string
  end(outcome: HostOutcome): void
}

/**
 * Lets each host be asked no more than it bears. Who wants a page asks for a turn; a host that has none to give makes
 * nobody else wait. Hosts that nobody asks any more are forgotten.
 */
export class Politeness {
  readonly #hosts = new Map<string, Host>()
  readonly #names = new Map<string, HostName>()
  readonly #parts: PolitenessParts
  readonly #maxRetryAfter: number
  readonly #pace: Pace
  readonly #domains: DomainMatch<Pace>
  #sweepAt = SWEEP_FROM
  /** Where turns are agreed on, once others ask the same hosts. */
  #turns: SharedTurns | undefined
  #isShared = false
  /** Turns that ended while that was agreed on. */
  readonly #untold: (() => void)[] = []

  constructor(options: PolitenessOptions, parts: PolitenessParts) {
    this.#parts = parts
    this.#maxRetryAfter = readDuration('spider', 'maxRetryAfter', options.maxRetryAfter) ?? 600_000
    this.#pace = readPace('perHost of spider', options.perHost ?? {})
    this.#domains = readDomains('spider', options.domains ?? {}, (subject, own) =>
      readPace(subject, own as DomainPace, this.#pace),
    )
  }

  /** Hosts that are remembered. */
  get size(): number {
    return this.#hosts.size
  }

  /**
   * A turn at the host of a URL, if it has one now; else when to ask again, `Infinity` for when one is given back. Where
   * turns are shared `wake` is called when there may be one.
   */
  tryTurn(url: string, wake: () => void = () => {}): Turn | { readonly nextAt: number } {
    const host = this.#hostOf(url)
    if (this.#turns !== undefined) return this.#trySharedTurn(host, this.#turns, wake)
    const now = this.#parts.clock.now()
    const nextAt = host.waiting.size > 0 ? Math.max(now, host.pace.nextAt()) : host.pace.nextAt()
    if (nextAt <= now && host.waiting.size === 0) return this.#begin(host)
    return { nextAt }
  }

  /** A turn at the host of a URL, in the order it was asked for. Rejects with the reason of the signal. */
  turn(url: string, signal?: AbortSignal): Promise<Turn> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason)
      const host = this.#hostOf(url)
      const waiter: Waiter = {
        begin: () => {
          signal?.removeEventListener('abort', leave)
          resolve(this.#begin(host))
        },
      }
      const leave = (): void => {
        host.waiting.delete(waiter)
        this.#serve(host)
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', leave, { once: true })
      host.waiting.add(waiter)
      return this.#serve(host)
    })
  }

  /** So long a host is left alone that asks for that much. */
  capped(retryAfter: number): number {
    return Math.min(retryAfter, this.#maxRetryAfter)
  }

  /** From now on other processes ask the same hosts: they are told how those do. May be called again if it rejects. */
  async share(turns: SharedTurns): Promise<void> {
    this.#turns = turns
    const taken = [...this.#hosts.values()].map(({ name, pace, policy }) =>
      pace.isFresh(this.#parts.clock.now()) ? undefined : turns.takeOver(name, pace, policy),
    )
    await Promise.all(taken)
    this.#isShared = true
    for (const tell of this.#untold.splice(0)) tell()
  }

  /** Makes the delay of a host at least this long, as its robots.txt asks. */
  slowTo(url: string, delay: number): void {
    const host = this.#hostOf(url)
    this.#turns?.slowTo(host.name, host.policy, delay)
    host.pace.slowTo(delay)
    host.keepsDelay = true
  }

  /** Resolves when the others know of all turns that ended here. */
  async settled(): Promise<void> {
    await this.#turns?.close((name) => this.#hosts.get(name)?.policy ?? this.#pace)
  }

  /** Ends all timers; who waits goes on waiting. */
  close(): void {
    for (const host of this.#hosts.values()) this.#parts.clock.clearTimeout(host.timer)
    this.#hosts.clear()
  }

  #hostOf(url: string): Host {
    const { name, hostname } = this.#nameOf(url)
    const known = this.#hosts.get(name)
    if (known !== undefined) {
      known.usedAt = this.#parts.clock.now()
      return known
    }
    if (this.#hosts.size >= this.#sweepAt) this.#sweep()
    const policy = this.#domains(hostname) ?? this.#pace
    const pace = new HostPace(policy, this.#parts.random ?? Math.random)
    const usedAt = this.#parts.clock.now()
    const host: Host = {
      name,
      policy,
      pace,
      waiting: new Set(),
      timer: undefined,
      timerAt: Infinity,
      keepsDelay: false,
      usedAt,
    }
    this.#hosts.set(name, host)
    return host
  }

  /** A host is asked for again and again: its URL is parsed once. */
  #nameOf(url: string): HostName {
    const origin = originOf(url)
    let name = this.#names.get(origin)
    if (name !== undefined) return name
    const { hostname, port, protocol } = new URL(url)
    name = { hostname, name: `${hostname}:${port || (protocol === 'https:' ? '443' : '80')}` }
    if (this.#names.size >= SWEEP_FROM) this.#names.clear()
    this.#names.set(origin, name)
    return name
  }

  #begin(host: Host): Turn {
    const startedAt = this.#parts.clock.now()
    host.pace.start(startedAt)
    return this.#turnOf(host, startedAt)
  }

  /** Until the others know how the hosts do nobody begins. */
  #trySharedTurn(host: Host, turns: SharedTurns, wake: () => void): Turn | { readonly nextAt: number } {
    if (!this.#isShared) return { nextAt: this.#parts.clock.now() + SHARING }
    const begun = turns.tryTurn(host.name, host.policy, wake)
    return 'nextAt' in begun ? begun : this.#turnOf(host, begun.startedAt)
  }

  #turnOf(host: Host, startedAt: number): Turn {
    return new HeldTurn(host.name, (outcome) => this.#end(host, outcome, startedAt))
  }

  #end(host: Host, given: HostOutcome, startedAt: number): void {
    const outcome = this.#cappedOutcome(given)
    const { name, policy, pace } = host
    const tell = (change: HostChange): void => this.#parts.onChange?.({ ...change, host: name })
    const turns = this.#turns
    if (turns !== undefined) {
      const end = (): void => turns.end(name, policy, { outcome, startedAt }, tell)
      return this.#isShared ? end() : void this.#untold.push(end)
    }
    const change = pace.end(outcome, startedAt, this.#parts.clock.now())
    if (change !== undefined) tell(change)
    this.#serve(host)
  }

  #cappedOutcome(outcome: HostOutcome): HostOutcome {
    if (outcome.kind !== 'throttled' || outcome.retryAfter === undefined) return outcome
    return { kind: 'throttled', retryAfter: this.capped(outcome.retryAfter) }
  }

  /** Gives turns to who waits, as many as the host has now, and comes back when it has the next one. */
  #serve(host: Host): void {
    const { clock } = this.#parts
    for (const waiter of host.waiting) {
      if (host.pace.nextAt() > clock.now()) break
      host.waiting.delete(waiter)
      waiter.begin()
    }
    this.#wait(host)
    this.#forget(host)
  }

  #wait(host: Host): void {
    const { clock } = this.#parts
    const at = host.waiting.size === 0 ? Infinity : host.pace.nextAt()
    if (at === host.timerAt) return
    clock.clearTimeout(host.timer)
    host.timerAt = at
    host.timer = at === Infinity ? undefined : clock.setTimeout(() => this.#wake(host), Math.max(0, at - clock.now()))
  }

  #wake(host: Host): void {
    host.timerAt = Infinity
    host.timer = undefined
    this.#serve(host)
  }

  /** Drops the hosts that nobody has asked for long; what they did is forgiven. Paid for by as many that came since. */
  #sweep(): void {
    const now = this.#parts.clock.now()
    for (const host of this.#hosts.values()) {
      const isUsed = host.waiting.size > 0 || host.pace.running > 0 || host.pace.nextAt() > now
      if (!isUsed && now - host.usedAt > FORGIVEN_AFTER) this.#hosts.delete(host.name)
    }
    this.#sweepAt = Math.max(SWEEP_FROM, 2 * this.#hosts.size)
  }

  #forget(host: Host): void {
    const isIdle = host.waiting.size === 0 && !host.keepsDelay && host.pace.isFresh(this.#parts.clock.now())
    if (isIdle) this.#hosts.delete(host.name)
  }
}

interface HostName {
  readonly name: string
  readonly hostname: string
}

class HeldTurn implements Turn {
  readonly host: string
  #end: ((outcome: HostOutcome) => void) | undefined

  constructor(host: string, end: (outcome: HostOutcome) => void) {
    this.host = host
    this.#end = end
  }

  end(outcome: HostOutcome): void {
    const end = this.#end
    this.#end = undefined
    end?.(outcome)
  }
}

interface Host {
  readonly name: string
  readonly policy: Pace
  readonly pace: HostPace
  /** In the order they came. */
  readonly waiting: Set<Waiter>
  timer: unknown
  timerAt: number
  /** Whether a robots.txt set its delay: that is not asked again for a day. */
  keepsDelay: boolean
  usedAt: number
}

interface Waiter {
  readonly begin: () => void
}
