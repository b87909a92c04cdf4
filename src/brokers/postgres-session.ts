import type { BrokerClock, CancelAnswer, LeasedJob, Outcome, Settled } from './broker.ts'
import { Archive } from './postgres-archive.ts'
import type { PostgresTarget } from './postgres-driver.ts'
import { away } from './postgres-errors.ts'
import { Hearing } from './postgres-hearing.ts'
import { Link } from './postgres-link.ts'
import { Owners } from './postgres-owners.ts'
import { Queues } from './postgres-queues.ts'
import { wordsOfOutcome } from './postgres-row.ts'
import { functionsOf, type Functions } from './postgres-sql.ts'
import { lockOf, openStore } from './postgres-store.ts'
import { fromText, sha256, toText } from './postgres-text.ts'
import { Taking } from './postgres-taking.ts'
import { Turns, type Patience, type TurnAnswer, type Words } from './postgres-turns.ts'
import { Watch, type Looked } from './postgres-watch.ts'
import type { Watchers } from './watchers.ts'

export interface SessionOptions {
  readonly connection: PostgresTarget
  readonly schema: string
  readonly lease: number
  readonly lostLimit: number
  readonly retention: { readonly for: number; readonly last: number }
  readonly poll: number
}

interface OfLease {
  readonly id: string
  readonly token: number
}

interface How {
  /** Queues to which it adds jobs. */
  readonly added?: readonly string[]
  readonly rows?: number
  readonly patience?: Patience
  readonly lasts?: boolean
}

const CLOSES_WITHIN = 2_000

/** A store between its opening and its close. */
export class Session {
  readonly archive: Archive
  readonly queues: Queues
  readonly watch: Watch
  readonly link: Link
  readonly #options: SessionOptions
  readonly #watchers: Watchers
  readonly #clock: BrokerClock
  readonly #functions: Functions
  readonly #turns: Turns
  readonly #taking: Taking
  readonly #hearing: Hearing
  readonly #owners: Owners
  readonly #channel: string
  readonly #lock: number
  /** Outcomes that were told once: of one that comes again it is not known whether it was heard. */
  readonly #told = new WeakSet<Outcome>()
  readonly #heldOff = new Set<string>()
  #isClosing = false
  #gone: readonly number[] = []
  #owner = 0
  #count = 0

  constructor(options: SessionOptions, watchers: Watchers, clock: BrokerClock) {
    const { connection, schema, poll } = options
    this.#options = options
    this.#watchers = watchers
    this.#clock = clock
    this.#functions = functionsOf(schema)
    this.#channel = `rootcatch_${sha256(schema).toString('hex').slice(0, 16)}`
    this.#lock = lockOf(schema)
    this.link = new Link(connection, schema, {
      heard: (said) => this.#hearing.heard(said),
      isBack: () => this.#isBack(),
    })
    this.queues = new Queues(this.link, schema, this.#functions.stats)
    this.#owners = new Owners(this.link, schema)
    this.archive = new Archive(this.link, schema, () => this.now)
    this.#taking = new Taking(
      {
        now: () => this.now,
        known: (queue) => this.queues.known(queue),
        queueOf: (queue) => this.queueOf(queue),
        call: (given) => this.#turns.run(given),
        settle: (outcomes) => this.settle(outcomes),
        isWorkedOn: (queue) => this.#isWorkedOn(queue),
      },
      watchers,
      options.lease,
    )
    this.#turns = new Turns(this.link, this.#functions.turn, {
      heading: (expires) => this.#heading(expires),
      committed: (answer) => this.#committed(answer),
      taking: this.#taking,
    })
    this.#hearing = new Hearing(
      {
        link: this.link,
        channelOf: (owner) => this.#channelOf(owner),
        cancel: async (words) => ((await this.call({ o: 'settle', s: [words] })) as readonly [CancelAnswer])[0],
        wake: (queue) => this.#wake(queue),
        look: () => this.watch.look(),
      },
      watchers,
    )
    this.watch = new Watch(watchers, clock, poll, {
      look: (queues) => this.#look(queues),
      leaseIsOver: () => void this.#expire(),
      isOrphaned: (queue) => void this.#buryAll(queue),
    })
  }

  get now(): number {
    return Math.floor(this.#clock.now())
  }

  async open(): Promise<void> {
    await this.link.open()
    try {
      await openStore(this.link, this.#options.schema, this.#functions)
      this.#owner = await this.#owners.register()
      await this.link.listen(this.#channelOf(this.#owner))
      await this.#recover()
    } catch (error) {
      await this.link.close()
      throw this.link.explain(error)
    }
    this.watch.start()
  }

  newId(): string {
    this.#count += 1
    return `${this.#owner.toString(36)}-${this.#count}`
  }

  /** Numbers of all these queues, for a call that names them. */
  async know(names: readonly string[]): Promise<void> {
    if (names.every((name) => this.queues.known(name) !== undefined)) return
    try {
      await this.queues.idsOf(names)
    } catch (error) {
      throw this.link.explain(error)
    }
  }

  async queueOf(name: string): Promise<number> {
    await this.know([name])
    return this.queues.known(name) as number
  }

  call(words: Words, { rows = 1, patience = 'fails', lasts = true, added }: How = {}): Promise<unknown> {
    return this.#turns.run({ words, rows, patience, lasts, ...(added && { added }) })
  }

  lease(queue: string, limit: number, without: ReadonlySet<string> | undefined): Promise<readonly LeasedJob[]> {
    return this.#taking.lease(queue, limit, without)
  }

  async extend(leases: readonly OfLease[]): Promise<readonly Settled[]> {
    const e = leases.map(({ id, token }) => ({ id: toText(id), token }))
    const how = { rows: leases.length, patience: 'waits', lasts: false } as const
    const answers = (await this.call({ o: 'extend', e }, how)) as readonly Settled[]
    for (const [index, answer] of answers.entries()) if (answer === 'lost') this.#taking.letGo(leases[index] as OfLease)
    return answers
  }

  async settle(outcomes: readonly Outcome[]): Promise<readonly Settled[]> {
    const s = outcomes.map((outcome) => this.wordsOf(outcome))
    // One that is given back is not taken again at once.
    const freed = outcomes.flatMap((one) => (one.kind === 'release' ? [] : (this.#taking.queueOf(one) ?? [])))
    this.#taking.plan(freed)
    const given = { words: { o: 'settle', s }, rows: s.length, patience: 'waits', lasts: true, freed } as const
    const answers = (await this.#turns.run(given)) as readonly string[]
    return outcomes.map((outcome, index) => this.ended(outcome, answers[index]))
  }

  cancel(id: string, reason: string | null): Promise<CancelAnswer> {
    return this.#hearing.cancel(id, reason)
  }

  wordsOf(outcome: Outcome): Readonly<Record<string, unknown>> {
    const words = wordsOfOutcome(outcome, this.#told.has(outcome))
    this.#told.add(outcome)
    return words
  }

  /** It is held no more, whatever the answer. */
  ended(lease: OfLease, answer: string | undefined): Settled {
    this.#taking.letGo(lease)
    return answer === 'lost' ? 'lost' : 'settled'
  }

  /** Of a queue from which nothing is taken for now, others are told. */
  holdOff(queue: string, isHeldOff: boolean): void {
    if (this.#heldOff.has(queue) === isHeldOff) return
    if (isHeldOff) this.#heldOff.add(queue)
    else this.#heldOff.delete(queue)
    if (isHeldOff) this.part(queue)
  }

  part(queue: string): void {
    const id = this.queues.known(queue)
    if (this.#isClosing || id === undefined || this.#isWorkedOn(queue)) return
    void this.call({ o: 'unwait', q: id }, { patience: 'waits', lasts: false }).catch(() => {})
  }

  /** Finishes what was called and gives back what is held. Of a Postgres that is away nobody waits for the answer. */
  async close(): Promise<void> {
    this.watch.stop()
    this.#isClosing = true
    let timer: NodeJS.Timeout | undefined
    const tooLate = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSES_WITHIN)))
    await Promise.race([this.#leave().catch(() => {}), tooLate])
    clearTimeout(timer)
    await this.link.close()
    this.#turns.close(away(this.link.name, 'it was closed'))
    await this.#turns.drained()
  }

  async #leave(): Promise<void> {
    await this.#turns.drained()
    this.#taking.close()
    await this.call({ o: 'unwait' })
    await this.#owners.forget(this.#owner)
  }

  #heading(expires: boolean): Readonly<Record<string, unknown>> {
    const { lease, lostLimit, retention } = this.#options
    const mine = this.#taking.reconciled
    return {
      now: this.now,
      owner: this.#owner,
      lock: this.#lock,
      channel: this.#channel,
      lease,
      lostLimit,
      last: retention.last,
      for: retention.for,
      expires: expires || mine !== undefined || this.#gone.length > 0,
      ...(mine !== undefined && { mine }),
      ...(this.#gone.length > 0 && { gone: this.#gone }),
    }
  }

  #committed({ woken, ended, orphaned, due, until }: TurnAnswer): void {
    this.#taking.isSure()
    this.#gone = []
    for (const queue of woken) this.#wake(queue)
    for (const id of ended) this.#hearing.tellSettled(fromText(id))
    if (this.#isClosing) return
    this.watch.learn(due ?? Infinity, until ?? Infinity)
    for (const queue of new Set(orphaned)) {
      const name = this.queues.nameOf(queue)
      if (name !== undefined && this.#watchers.byQueue.has(name)) void this.#buryAll(name)
    }
  }

  async #expire(): Promise<void> {
    try {
      await this.call({ o: 'expire' }, { patience: 'waits' })
      void this.watch.look()
    } catch {
      // Postgres is away; the next who takes a job looks for those that are over, too.
    }
  }

  /** Frees what processes held that are gone. */
  async #recover(): Promise<void> {
    const { gone, old } = await this.#owners.left(this.#owner)
    this.#gone = gone
    await this.call({ o: 'expire' })
    await this.#owners.forget(...gone, ...old)
  }

  /** Ends jobs that were lost too often. */
  async #buryAll(queue: string): Promise<void> {
    try {
      await this.#taking.buryAll(queue)
    } catch {
      // As above: the next look finds them again.
    }
  }

  async #look(names: readonly string[]): Promise<Looked> {
    await this.know(names)
    const ids = names.map((name) => this.queues.known(name) as number)
    const [row] = await this.link.read(`SELECT ${this.#functions.look}($1, $2, $3)`, [this.#owner, this.now, ids])
    const { queues, until, unwanted } = JSON.parse(row?.[0] as string) as {
      readonly queues: readonly (readonly [number, boolean, number | null, boolean])[] | null
      readonly until: number | null
      readonly unwanted: readonly (readonly [string, string])[] | null
    }
    for (const [id, reason] of unwanted ?? []) this.#hearing.tellCancelled(id, reason)
    for (const [id, isDue] of queues ?? []) if (isDue) this.#taking.woken(this.queues.nameOf(id) as string)
    return {
      until: until ?? Infinity,
      queues: (queues ?? []).map(([id, isDue, next, isOrphaned]) => ({
        queue: this.queues.nameOf(id) as string,
        isDue,
        next: next ?? Infinity,
        isOrphaned,
      })),
    }
  }

  #wake(queue: number): void {
    const name = this.queues.nameOf(queue)
    if (name === undefined) return
    this.#taking.woken(name)
    this.#watchers.wake(name)
  }

  #channelOf(owner: number): string {
    return `${this.#channel}_${owner}`
  }

  #isWorkedOn(queue: string): boolean {
    return this.#watchers.byQueue.has(queue) && !this.#heldOff.has(queue) && !this.#isClosing
  }

  #isBack(): void {
    this.#turns.flush()
    this.#hearing.tellSettled(undefined)
    for (const queue of this.#watchers.byQueue.keys()) {
      this.#taking.woken(queue)
      this.#watchers.wake(queue)
    }
    void this.watch.look()
  }
}
