import type { Update } from 'grammy/types'
import type { AnyActorRef } from 'xstate'
import { supervisorMachine } from '../../machines/supervisor.ts'
import { Host } from '../actors/chart.ts'
import { Election } from '../actors/election.ts'
import { originNow } from '../actors/floating.ts'
import type { Level } from '../actors/climb.ts'
import type { HostedPart } from '../actors/hosted-part.ts'
import type { Incarnation } from '../actors/incarnation.ts'
import type { Place, Reports } from '../actors/reports.ts'
import type { Observed } from '../actors/tap.ts'
import type { HostedNode, Tree } from '../actors/tree.ts'
import type { BuriedJob } from '../brokers/broker.ts'
import { UnknownJobError } from '../errors.ts'
import type { DropReason } from '../events.ts'
import { addToTrail, Failure } from '../failure.ts'
import type { Hosted } from '../hosted.ts'
import { Run, type AnyRun, type RunHost } from '../run.ts'
import { lanesOf, type BotPolicy } from './bot-options.ts'
import { DurableInbox } from './durable-inbox.ts'
import type { Inbox } from './inbox.ts'
import type { BotCatch, LastBoundary } from './last-boundary.ts'
import { MemoryInbox } from './memory-inbox.ts'
import type { Pass } from './pass.ts'
import { startPoller, type Poller } from './poller.ts'
import type { PollerSetup } from './poller-setup.ts'
import { boundaryParts, type Scope } from './scope.ts'
import { Supply } from './supply.ts'
import type { Arrival } from './update-run.ts'
import { Updates, type UpdateHost } from './updates.ts'

/** What a life needs of its bot. */
export interface BotSide {
  readonly definition: Hosted
  readonly botId: string
  readonly policy: BotPolicy
  readonly scope: Scope
  readonly handler: BotCatch | undefined
  readonly isAlone: boolean
  /** Whether the bot knows who it is. */
  readonly isInited: boolean
  leaves(thrown: unknown): void
  stopSoon(): void
  handle(update: Update, envelope: Arrival['envelope'], pass: Pass): Promise<void>
  /** Undefined: updates come by webhooks, or by `handleUpdate`. */
  readonly polling: Polled | undefined
  /** Up to where all was finished when its life before this one ended. */
  readonly left: { readonly offset: number | undefined; readonly at: number } | undefined
  begins(life: BotLife): void
  /** Closes its connections. */
  ends(life: BotLife): Promise<void>
}

const DAY = 86_400_000

/** What its poller asks of a bot. */
export type Polled = Pick<PollerSetup, 'api' | 'options' | 'isFirst' | 'me' | 'isMe' | 'listened' | 'ready'>

/** One life of a bot in a tree: a supervisor whose boundaries are its nodes, and whose updates are its jobs. */
export class BotLife implements Incarnation, HostedNode, LastBoundary, UpdateHost, RunHost {
  readonly tree: Tree
  readonly path: string
  readonly level: Level
  readonly updates: Updates
  readonly inbox: Inbox
  readonly #side: BotSide
  readonly #generation: number
  readonly #reports: Reports
  readonly #host: Host
  readonly #supply: Supply
  #poller: Poller | undefined
  /** One that failed has nothing to stop. */
  #hasPoller = true
  #phase: 'starting' | 'up' | 'stopping' | 'over' = 'starting'
  #failure: Failure | undefined
  #how: 'stopped' | 'killed' = 'stopped'
  /** How long running updates may take when it stops, if not as long as its options say. */
  drainWithin: number | undefined

  constructor(side: BotSide, place: Place, reports: Reports) {
    this.#side = side
    this.tree = place.tree
    this.path = place.path
    this.level = place.parent as Level // only a supervisor starts bots
    this.#generation = place.generation
    this.#reports = reports
    const input = { path: place.path, strategy: 'one-for-one' }
    this.#host = new Host(supervisorMachine, { parent: place.host, id: side.policy.name, input }, () => this.stop())
    this.updates = new Updates(this, this.#host)
    const memory = new MemoryInbox(this.updates, this.#goesOnAt())
    this.inbox = this.tree.broker.durable
      ? new DurableInbox(this.updates, memory, (update) => this.lanesOf(update))
      : memory
    this.#supply = new Supply(this.updates)
  }

  /** Telegram keeps what was not confirmed for a day; what its earlier life has finished need not come again. */
  #goesOnAt(): number | undefined {
    const { left } = this.#side
    const isKnown = this.#generation > 1 && left !== undefined && this.tree.clock.now() - left.at < DAY
    return isKnown ? left.offset : undefined
  }

  // As a child of its supervisor

  get actor(): AnyActorRef {
    return this.#host.ref
  }

  start(): void {
    this.tree.hosted.set(this.#side.definition, this)
    this.#host.start()
    this.#side.begins(this)
    const { polling } = this.#side
    if (polling === undefined) {
      if (this.#side.isInited) this.isInited()
      return this.#isUp()
    }
    const { tree, path, inbox } = this
    this.#poller = startPoller(this.#host, {
      ...polling,
      path,
      inbox,
      election: Election.of(tree.broker, tree.clock, path, 'poller'),
      clock: tree.clock,
      random: tree.random,
      shutdown: this.#shutdown,
      ready: () => {
        polling.ready()
        this.isInited()
        this.#isUp()
      },
      emit: (name, data) => tree.events.emit(name, data),
      fail: (error) => this.#fail(error),
    })
  }

  /** What waits with the broker can be handled now: no context can be made for a bot that does not know who it is. */
  isInited(): void {
    if (this.#phase === 'starting' || this.#phase === 'up') this.#supply.open()
  }

  stop(): void {
    if (this.#side.policy.child.shutdown === 'kill' && this.drainWithin === undefined) return this.kill()
    void this.#stopWithin(this.drainWithin ?? this.#shutdown)
  }

  get #shutdown(): number {
    const { shutdown } = this.#side.policy.child
    return shutdown === 'kill' ? 0 : shutdown
  }

  /** Has its supervisor stop it, for good. */
  async end(): Promise<void> {
    const { path, level, tree } = this
    const supervisor = tree.supervisors.get(level.path)
    const child = supervisor?.childNamed(path.slice(level.path === '' ? 0 : level.path.length + 1))
    if (child !== undefined) await supervisor?.stopChild(child)
  }

  get isPolling(): boolean {
    return this.#poller !== undefined && this.#phase !== 'over'
  }

  /** Whether an update of its is what runs now. */
  isInside(): boolean {
    const origin = originNow()
    return origin !== undefined && origin.floated === this.updates.floated
  }

  kill(): void {
    if (this.#phase === 'over') return
    this.#how = 'killed'
    this.#poller?.kill()
    void this.updates.drain(0)
    void this.#stopWithin(0)
  }

  send(event: unknown): true | DropReason {
    if (this.#phase === 'over') return 'stopped'
    this.#host.deliver(event as never)
    return true
  }

  decide(): void {} // a bot never waits for a decision: what failed is over

  #isUp(): void {
    if (this.#phase !== 'starting') return
    this.#phase = 'up'
    this.#host.send({ type: 'children.ready' })
    this.#reports.ready()
  }

  /** What is not an update's: the poller, or the connection. */
  #fail(error: unknown): void {
    if (this.#phase === 'stopping' || this.#phase === 'over') return
    const kind = this.#phase === 'starting' ? 'start' : 'thrown'
    const { path } = this
    const generation = this.#generation
    const failure = new Failure({ error, path, kind, at: this.tree.clock.now(), generation })
    this.#side.leaves(error)
    if (this.#side.isAlone) return this.#failAlone(failure)
    this.#failure = failure
    this.#host.send({ type: 'gave up', failure })
    void this.#stopWithin(this.#shutdown)
  }

  /** Nobody is above who could begin it anew: `start()` rejects. */
  #failAlone(failure: Failure): void {
    const { path, tree } = this
    this.#hasPoller = false
    addToTrail(failure, { path, decision: 'stop', by: 'default' })
    tree.report(failure, 'stop')
    void tree.stopSystem()
  }

  async #stopWithin(within: number): Promise<void> {
    if (this.#phase === 'stopping' || this.#phase === 'over') return
    if (this.#failure === undefined) this.#host.send({ type: 'shutdown' })
    this.#phase = 'stopping'
    this.#supply.close()
    if (this.#hasPoller && this.#failure === undefined) await this.#poller?.stop({ drain: within })
    await this.inbox.drain(within)
    await this.#side.ends(this)
    this.#over()
  }

  #over(): void {
    if (this.#phase === 'over') return
    this.#phase = 'over'
    this.#supply.end()
    this.#host.send({ type: 'children.down' })
    if (this.#failure !== undefined) {
      return this.#failure.kind === 'start'
        ? this.#reports.didNotStart(this.#failure)
        : this.#reports.failed(this.#failure)
    }
    this.tree.counters.actors[this.#how] += 1
    this.tree.events.emit('actor.stopped', { path: this.path, generation: this.#generation, how: this.#how })
    this.#reports.down()
  }

  // As the last boundary, and what updates need

  get boundary(): LastBoundary {
    return this
  }

  get policy(): UpdateHost['policy'] {
    const { name, retry, timeout, hookTimeout, plugins } = this.#side.policy
    const none = { schema: undefined, fallback: undefined, description: undefined, tags: [] } as const
    return { ...none, name, retry, timeout, hookTimeout, plugins, maxPayload: 256 * 1024 }
  }

  get concurrency(): number {
    return this.#side.policy.concurrency
  }

  get botId(): string {
    return this.#side.botId
  }

  get handler(): BotCatch | undefined {
    return this.#side.handler
  }

  get isAlone(): boolean {
    return this.#side.isAlone
  }

  leaves(thrown: unknown): void {
    this.#side.leaves(thrown)
  }

  stopSoon(): void {
    this.#side.stopSoon()
  }

  lanesOf(update: Update): readonly string[] {
    return lanesOf(this.#side.policy, update)
  }

  handle(update: Update, envelope: Arrival['envelope'], pass: Pass): Promise<void> {
    return this.#side.handle(update, envelope, pass)
  }

  // As the tree sees it

  get jobs(): { readonly running: number; readonly retrying: number } {
    return this.updates.jobs
  }

  liveJobs(): Iterable<Observed> {
    return this.updates.liveJobs()
  }

  parts(): readonly HostedPart[] {
    const boundaries = boundaryParts(this.#side.scope, this.path, this.#generation)
    if (this.#poller === undefined) return boundaries
    const { ref } = this.#poller
    const state = (ref.getSnapshot() as { readonly value?: unknown }).value
    const path = `${this.path}/poller`
    const generation = this.#generation
    return [{ name: 'poller', path, kind: 'poller', ref, state, restart: 'permanent', generation }, ...boundaries]
  }

  async replay(id: string, given: { readonly input: unknown } | undefined): Promise<{ readonly run: AnyRun }> {
    const answer = await this.tree.broker.replay(id, given?.input as never)
    if (answer === undefined) throw new UnknownJobError(id)
    const run: AnyRun = new Run(this, id)
    Run.tell.queued(run)
    this.tree.runs.add(id, run)
    return { run }
  }

  cancel(run: AnyRun, reason: unknown): void {
    this.cancelLive(run.id, reason)
  }

  abandon(id: string): void {
    const reason = new Error(`system "${this.tree.name}" stopped`)
    this.tree.runs.settle(id, { status: 'cancelled', reason, attempts: 0 })
  }

  jobPath(id: string): string {
    return this.updates.jobPath(id)
  }

  lookAgain(): void {} // updates are settled by the process that runs them

  cancelLive(id: string, reason: unknown): void {
    this.updates.kept.get(id)?.job?.cancel(reason)
  }

  buried(job: BuriedJob): void {
    this.updates.buried(job)
  }

  close(): void {}

  quiet(): Promise<void> | undefined {
    return this.updates.quiet()
  }
}
