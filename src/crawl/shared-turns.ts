import { SharedWord } from '../actors/shared-word.ts'
import type { Broker } from '../brokers/broker.ts'
import type { Clock } from '../clock.ts'
import type { Json } from '../payload.ts'
import { HostPace, type HostOutcome, type HostChange, type HostPaceState } from './host-pace.ts'
import type { Pace } from './politeness-options.ts'

/** A host whose turns are all taken by others is asked about again after this long, longer each time. */
const FIRST_WAIT = 20
const LONGEST_WAIT = 250
/** So long before it starts a turn may be taken: then it matters not how long the broker needs to answer. */
const AHEAD = 100
/** A turn that is used later than that is given back, unless the host's delay is longer than four of these. */
const LATEST = 10
/** A turn that nobody takes for so long after it might start is given back. */
const UNUSED_FOR = 50
/** How often the end of a turn is told to a broker that does not answer. */
const TELLS = 5
const TELL_WAIT = 200

/** Where the turns of all hosts are agreed on. */
export interface TurnFleet {
  readonly id: string
  /** Those who take part, as they were a moment ago. */
  readonly known: ReadonlySet<string>
  members(): Promise<ReadonlySet<string>>
}

export interface SharedTurnsParts {
  readonly broker: Broker
  /** Of the spider. */
  readonly path: string
  readonly clock: Clock
  readonly random: () => number
  readonly fleet: TurnFleet
}

/** How a host is doing, for all: its pace, and who has how many turns. */
interface HostWord extends HostPaceState {
  readonly held: Readonly<Record<string, number>>
  /** Says which change it was: two that end a turn at once would write the same. */
  readonly by: string
}

/** A turn as it was begun. */
export interface Begun {
  readonly startedAt: number
}

interface Host {
  readonly word: SharedWord<Json>
  readonly granted: Begun[]
  readonly wakes: Set<() => void>
  /** Nothing is to be had before. */
  notBefore: number
  wait: number
  isAsking: boolean
  timer: unknown
  slowest: number
}

/** Leave to ask hosts for pages, where several processes ask together: a host bears so much of all of them. */
export class SharedTurns {
  readonly #parts: SharedTurnsParts
  readonly #hosts = new Map<string, Host>()
  readonly #telling = new Set<Promise<unknown>>()
  #changes = 0

  constructor(parts: SharedTurnsParts) {
    this.#parts = parts
  }

  /** Takes over how a host did while only this process asked it. */
  async takeOver(name: string, pace: HostPace, policy: Pace): Promise<void> {
    const { id } = this.#parts.fleet
    await this.#change(name, policy, (state, held) => {
      state.restore(pace.toJSON())
      if (pace.running > 0) held.set(id, pace.running)
      else held.delete(id)
      return undefined
    })
  }

  /** A turn that is there, or when to ask again: `Infinity` until `wake` is called. */
  tryTurn(name: string, policy: Pace, wake: () => void): Begun | { readonly nextAt: number } {
    const host = this.#hostOf(name)
    const now = this.#parts.clock.now()
    for (let [begun] = host.granted; begun !== undefined; [begun] = host.granted) {
      if (begun.startedAt > now) return { nextAt: begun.startedAt }
      host.granted.shift()
      const delay = Math.max(policy.delay, host.slowest)
      if (delay === 0 || now - begun.startedAt <= Math.max(LATEST, delay / 4)) return begun
      // The others count from when it was to start: so late it would be too near to theirs.
      this.end(name, policy, { outcome: { kind: 'neutral' }, startedAt: begun.startedAt }, () => {})
    }
    if (host.notBefore > now) return { nextAt: host.notBefore }
    host.wakes.add(wake)
    if (!host.isAsking) void this.#ask(name, host, policy)
    return { nextAt: Infinity }
  }

  /** Tells what came of a turn; `then` is told what changed at the host by it. */
  end(name: string, policy: Pace, { outcome, startedAt }: Ended, then: (change: HostChange) => void): void {
    const telling = this.#end(name, policy, { outcome, startedAt }, then).catch(() => {})
    this.#telling.add(telling)
    void telling.then(() => this.#telling.delete(telling))
  }

  slowTo(name: string, policy: Pace, delay: number): void {
    const host = this.#hostOf(name)
    if (delay <= host.slowest) return
    host.slowest = delay
    const telling = this.#change(name, policy, (pace) => void pace.slowTo(delay)).catch(() => (host.slowest = 0))
    this.#telling.add(telling)
    void telling.then(() => this.#telling.delete(telling))
  }

  /** Gives back what was not used; resolves when all is told. */
  async close(policyOf: (name: string) => Pace): Promise<void> {
    for (const [name, { granted, timer }] of this.#hosts) {
      this.#parts.clock.clearTimeout(timer)
      for (const { startedAt } of granted.splice(0)) {
        this.end(name, policyOf(name), { outcome: { kind: 'neutral' }, startedAt }, () => {})
      }
    }
    while (this.#telling.size > 0) await Promise.all(this.#telling)
    this.#hosts.clear()
  }

  async #ask(name: string, host: Host, policy: Pace): Promise<void> {
    const { clock, fleet } = this.#parts
    host.isAsking = true
    let nextAt = Infinity
    let begun: Begun | undefined
    try {
      await this.#change(name, policy, (pace, held) => {
        const now = clock.now()
        nextAt = pace.nextAt()
        begun = undefined
        if (nextAt > now + AHEAD) return 'as it was'
        const startedAt = Math.max(now, nextAt)
        pace.start(startedAt)
        begun = { startedAt }
        held.set(fleet.id, (held.get(fleet.id) ?? 0) + 1)
        return undefined
      })
    } catch {
      // The broker is away: it is asked again.
    }
    host.isAsking = false
    if (begun === undefined) this.#waitFor(host, nextAt)
    else {
      host.granted.push(begun)
      host.wait = FIRST_WAIT
      this.#giveBackUnused(name, host, policy, begun)
    }
    this.#wake(host)
  }

  /** Who asked for it may have gone meanwhile; the others wait for it. */
  #giveBackUnused(name: string, host: Host, policy: Pace, begun: Begun): void {
    const { clock } = this.#parts
    const { startedAt } = begun
    host.timer = clock.setTimeout(
      () => {
        const at = host.granted.indexOf(begun)
        if (at === -1) return
        host.granted.splice(at, 1)
        this.end(name, policy, { outcome: { kind: 'neutral' }, startedAt }, () => {})
      },
      Math.max(0, startedAt - clock.now()) + UNUSED_FOR,
    )
  }

  #waitFor(host: Host, nextAt: number): void {
    const now = this.#parts.clock.now()
    if (nextAt !== Infinity) return void (host.notBefore = nextAt - AHEAD / 2)
    host.notBefore = now + host.wait
    host.wait = Math.min(LONGEST_WAIT, 2 * host.wait)
  }

  #wake(host: Host): void {
    const wakes = [...host.wakes]
    host.wakes.clear()
    for (const wake of wakes) wake()
  }

  async #end(
    name: string,
    policy: Pace,
    { outcome, startedAt }: Ended,
    then: (change: HostChange) => void,
  ): Promise<void> {
    const { clock, fleet } = this.#parts
    const host = this.#hostOf(name)
    let change: HostChange | undefined
    for (let tells = 1; ; tells += 1) {
      try {
        await this.#change(name, policy, (pace, held) => {
          change = pace.end(outcome, startedAt, clock.now())
          const left = (held.get(fleet.id) ?? 0) - 1
          if (left > 0) held.set(fleet.id, left)
          else held.delete(fleet.id)
          return undefined
        })
        break
      } catch (error) {
        if (tells === TELLS) throw error
        await new Promise<void>((resolve) => void clock.setTimeout(resolve, TELL_WAIT * tells))
      }
    }
    if (change !== undefined) then(change)
    host.notBefore = 0
    host.wait = FIRST_WAIT
    this.#wake(host)
  }

  /** Changes how a host is doing; the turns of those that are gone are free. */
  async #change(
    name: string,
    policy: Pace,
    change: (pace: HostPace, held: Map<string, number>) => 'as it was' | undefined | void,
  ): Promise<void> {
    const { word } = this.#hostOf(name)
    const { clock, random, fleet } = this.#parts
    this.#changes += 1
    const by = `${fleet.id}:${this.#changes}`
    let gone: readonly string[] = []
    let { known } = fleet
    for (;;) {
      let strangers: readonly string[] = []
      const dropped = new Set(gone)
      await word.change((now) => {
        const { held: holders = {}, ...state } = (now ?? {}) as unknown as Partial<HostWord>
        const held = new Map(Object.entries(holders).filter(([id]) => !dropped.has(id)))
        strangers = [...held.keys()].filter((id) => id !== fleet.id && !known.has(id))
        const pace = new HostPace(policy, random)
        pace.restore(state)
        pace.running = [...held.values()].reduce((sum, count) => sum + count, 0)
        const isBarred = pace.nextAt() === Infinity && strangers.length > 0
        if (isBarred) return undefined // unless they are gone
        strangers = []
        if (change(pace, held) === 'as it was') return undefined
        pace.running = [...held.values()].reduce((sum, count) => sum + count, 0)
        if (pace.isFresh(clock.now()) && !pace.isSlowed) return null
        return { ...pace.toJSON(), held: Object.fromEntries(held), by } as unknown as Json
      })
      if (strangers.length === 0) return
      known = await fleet.members()
      gone = strangers.filter((id) => !known.has(id))
    }
  }

  #hostOf(name: string): Host {
    let host = this.#hosts.get(name)
    if (host === undefined) {
      const { broker, path } = this.#parts
      host = {
        word: new SharedWord(broker, path, `host ${name}`),
        granted: [],
        wakes: new Set(),
        notBefore: 0,
        wait: FIRST_WAIT,
        isAsking: false,
        timer: undefined,
        slowest: 0,
      }
      this.#hosts.set(name, host)
    }
    return host
  }
}

interface Ended {
  readonly outcome: HostOutcome
  readonly startedAt: number
}
