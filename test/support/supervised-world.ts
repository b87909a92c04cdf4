import { escalate, Failure, restart, resume, stop, supervisor, type Decision, type SupervisorOptions } from 'rootcatch'
import { supervisorMachine, type SupervisorEvent } from 'rootcatch/machines'
import { getNextSnapshot, initialTransition, type SnapshotFrom } from 'xstate'
import { Child, type Home } from '../../src/actors/child.ts'
import type { Incarnation } from '../../src/actors/incarnation.ts'
import type { End, Hands } from '../../src/actors/hands.ts'
import { Supervision } from '../../src/actors/supervision.ts'
import type { ChildPolicy } from '../../src/child.ts'
import { lives } from './lives.ts'

type Options = Pick<SupervisorOptions, 'strategy' | 'restarts' | 'backoff' | 'autoShutdown'>
type ChildOptions = Partial<Pick<ChildPolicy, 'restart' | 'significant'>>

/** What an incarnation of the world does: nothing by itself, everything when it is told to. */
interface Life {
  readonly child: Child
  readonly generation: number
  state: 'starting' | 'up' | 'held' | 'asked' | 'over'
}

interface Wait {
  readonly callback: () => void
}

/** Something that can happen next. */
export interface Action {
  readonly name: string
  run(): void
}

const decisions: Readonly<Record<string, Decision>> = {
  restart,
  resume,
  value: resume(1),
  stop,
  escalate,
  'restart, and calls': restart,
  'escalate, and calls': escalate,
}

/**
 * The core of a supervisor with hands that do nothing by themselves: everything that can happen next is an action, in any
 * order. Each step checks what must always hold and throws when it does not.
 */
export class World {
  readonly core: Supervision
  readonly log: string[] = []
  readonly #options: Options
  readonly #children: Child[] = []
  readonly #lives = new Map<Child, Life>()
  readonly #older: Life[] = []
  readonly #waits = new Set<Wait>()
  /** What was thrown and taken in; each must be reported, answered, or be what the supervisor fails with. */
  readonly #owed = new Set<Failure>()
  readonly #rounds: number[] = []
  readonly #stopped = new Set<Child>()
  #chart: SnapshotFrom<typeof supervisorMachine>
  #now = 0
  #added = 0
  #waiting = 0
  #decision: Decision = restart
  #calls = false
  #isReady = false
  #isStopping = false
  end: End | undefined

  constructor(options: Options, children: readonly ChildOptions[]) {
    this.#options = options
    const definition = supervisor('sup', { restarts: { limit: 2, within: 10 }, ...options }, [])
    this.core = new Supervision('sup', definition, this.#hands())
    ;[this.#chart] = initialTransition(supervisorMachine, { path: 'sup', strategy: definition.strategy })
    for (const child of children) this.core.add(this.#newChild(child, false))
    this.#step('begin', () => this.core.begin())
  }

  /** All that may happen now. */
  get actions(): readonly Action[] {
    const actions: Action[] = []
    const can = (name: string, run: () => void): void => void actions.push({ name, run: () => this.#step(name, run) })
    for (const life of this.#lives.values()) this.#actionsOf(life, can)
    for (const wait of this.#waits) can('wait is over', () => this.#fire(wait))
    for (const child of [...this.core.statics, ...this.core.dynamics]) this.#adminActionsOf(child, can)
    if (this.end === undefined) {
      if (this.#added < 2) {
        can('startChild', () => this.#adopt(false))
        can('spawn', () => this.#adopt(true))
      }
      if (!this.#isReady && !this.core.isStopped)
        can('startTimeout', () => this.core.failStart(this.#failure(undefined)))
      can('stop', () => ((this.#isStopping = true), this.core.stop()))
      can('kill', () => ((this.#isStopping = true), this.core.kill()))
    }
    return actions
  }

  /** Lets everything that is under way come to its end without a further failure, then stops. */
  finish(): void {
    this.#settle()
    this.#checkAtRest()
    this.#step('stop', () => this.core.stop())
    this.#settle()
    if (this.end === undefined) this.#wrong('it never stopped')
    if (this.#lives.size > 0) this.#wrong('a child outlived it')
    if (this.#waits.size > 0) this.#wrong('a timer stayed')
    if (this.#waiting > 0) this.#wrong('somebody still waits')
    if (this.#owed.size > 0) this.#wrong(`${this.#owed.size} failures were never reported`)
  }

  /** Late events of every incarnation that is over change nothing. */
  checkLate(): void {
    const before = this.#picture()
    for (const { child, generation } of this.#older) {
      const failure = new Failure({ error: 'late', path: child.path, kind: 'thrown', at: 0 })
      this.core.ready(child, generation)
      this.core.ended(child, generation, 'late')
      this.core.failed(child, generation, failure)
      this.core.didNotStart(child, generation, failure)
      this.core.down(child, generation)
    }
    if (this.#picture() !== before) this.#wrong(`a late event changed ${before} to ${this.#picture()}`)
  }

  #actionsOf(life: Life, can: (name: string, run: () => void) => void): void {
    const { child, generation, state } = life
    const { name } = child
    const over = (): void => this.#isOver(life)
    if (state === 'starting') can(`${name} is ready`, () => ((life.state = 'up'), this.core.ready(child, generation)))
    if (state === 'starting') {
      can(`${name} does not start`, () => {
        over()
        this.core.didNotStart(child, generation, this.#failure(child))
      })
    }
    if (state === 'asked') can(`${name} is down`, () => (over(), this.core.down(child, generation)))
    if (state !== 'held') can(`${name} ends`, () => (over(), this.core.ended(child, generation, 0)))
    if (state === 'up' || state === 'asked') {
      for (const decision of state === 'up' ? Object.keys(decisions) : ['restart']) {
        can(`${name} fails: ${decision}`, () => {
          this.#decide(decision)
          over()
          this.core.failed(child, generation, this.#failure(child))
        })
      }
    }
    if (state === 'up') {
      for (const decision of ['resume', 'restart', 'escalate, and calls']) {
        can(`${name} throws: ${decision}`, () => {
          this.#decide(decision)
          this.#throw(life)
        })
      }
    }
  }

  #adminActionsOf(child: Child, can: (name: string, run: () => void) => void): void {
    if (this.core.isStopped) return
    if (child.status === 'stopped') {
      can(`restartChild ${child.name}`, () => this.core.startFor(child, this.#waiter()))
      can(`deleteChild ${child.name}`, () => this.core.forget(child))
      return
    }
    if (this.#stopped.has(child)) return // once is enough to explore
    can(`stopChild ${child.name}`, () => {
      this.#stopped.add(child)
      this.core.stopChild(child, this.#waiter())
    })
  }

  #hands(): Hands {
    return {
      now: () => this.#now,
      random: () => 0.5,
      start: (child) => this.#start(child),
      stop: (child) => this.#ask(child, 'stop'),
      kill: (child) => this.#ask(child, 'kill'),
      release: (child, decision) => {
        const life = this.#lives.get(child)
        if (life?.state !== 'held') return this.#wrong(`${child.name} was released, but nobody held it`)
        life.state = 'up'
        if (decision === 'resume') return
        this.#isOver(life)
        this.core.failed(child, life.generation, this.#held.get(child) as Failure)
      },
      wait: (ms, callback) => {
        const wait = { callback }
        this.#waits.add(wait)
        this.#now += ms // it only tells how long; when it is over is an action
        return { cancel: () => void this.#waits.delete(wait) }
      },
      judge: () => {
        if (this.#calls) this.#callFromCatch()
        return { decision: this.#decision, by: 'catch' }
      },
      report: (failure) => this.#pay(failure, 'reported'),
      started: (child) => this.log.push(`+${child.name}`),
      ended: () => {},
      began: (round) => {
        this.#rounds.push(this.#now)
        const { limit = 2, within = 10 } = this.#options.restarts ?? {}
        const recent = this.#rounds.filter((at) => this.#now - at <= (within as number))
        if (recent.length > limit) this.#wrong('it restarts more often than its limit')
        if (new Set(round.members).size < round.members.length) this.#wrong('a round has a member twice')
      },
      forgotten: (child) => this.log.push(`forgot ${child.name}`),
      mirror: (type, failure) => this.#mirror({ type, failure } as SupervisorEvent),
      ready: () => (this.#isReady = true),
      over: (end) => {
        if (this.end !== undefined) this.#wrong('it was over twice')
        this.end = end
        if (end.failure !== undefined) this.#pay(end.failure, 'what it failed with')
      },
    }
  }

  readonly #held = new Map<Child, Failure>()

  #decide(name: string): void {
    this.#decision = decisions[name] as Decision
    this.#calls = name.endsWith('and calls')
  }

  /** What a user's catch may do besides: the core is in the middle of a step. */
  #callFromCatch(): void {
    this.#calls = false
    if (this.#added < 2) this.#adopt(true)
    const down = [...this.core.statics].filter(({ status }) => status === 'stopped')
    for (const child of [...down, ...down]) this.core.startFor(child, this.#waiter())
  }

  #throw(life: Life): void {
    const failure = this.#failure(life.child)
    const answer = this.core.threw(life.child, failure)
    if (answer === 'resume') return
    if (answer === 'later') {
      life.state = 'held'
      this.#held.set(life.child, failure)
      return
    }
    this.#isOver(life)
    this.core.failed(life.child, life.generation, failure)
  }

  #start(child: Child): void {
    if (this.#lives.has(child)) this.#wrong(`${child.name} has two incarnations`)
    if (this.core.isStopped) this.#wrong(`${child.name} starts while all stop`)
    const others = [...this.#lives.values()].filter(({ state }) => state === 'starting').map((life) => life.child)
    const isBeside = others.some((other) => other.startWaiter === undefined && other.round === child.round)
    if (child.startWaiter === undefined && isBeside) this.#wrong(`${child.name} starts beside a sibling of its round`)
    const life: Life = { child, generation: child.generation, state: 'starting' }
    child.incarnation = { actor: undefined } as Incarnation
    this.#lives.set(child, life)
  }

  #ask(child: Child, how: 'stop' | 'kill'): void {
    const life = this.#lives.get(child)
    if (life === undefined) return // it is over, and the core will hear of it
    if (how === 'stop' && life.state === 'asked') this.#wrong(`${child.name} was asked twice`)
    this.#checkStopOrder(child)
    life.state = 'asked'
    if (how === 'stop') return
    this.#isOver(life)
    this.core.down(child, life.generation)
  }

  #checkStopOrder(child: Child): void {
    if (child.isDynamic || child.stopWaiters !== undefined) return
    const { round } = child
    const isReached = (other: Child): boolean =>
      this.core.isStopped || (round !== undefined && other.round === round && other.stopWaiters === undefined)
    for (const dynamic of this.core.dynamics) {
      if (this.#lives.has(dynamic) && isReached(dynamic)) this.#wrong(`${child.name} stops before ${dynamic.name}`)
    }
    for (let later = child.after; later !== undefined; later = later.after) {
      if (this.#lives.has(later) && isReached(later)) this.#wrong(`${child.name} stops before ${later.name}`)
    }
  }

  #isOver(life: Life): void {
    life.state = 'over'
    this.#lives.delete(life.child)
    this.#older.push(life)
  }

  #fire(wait: Wait): void {
    this.#waits.delete(wait)
    wait.callback()
  }

  #adopt(isDynamic: boolean): void {
    this.#added += 1
    const child = this.#newChild({}, isDynamic)
    child.isNew = true
    this.core.add(child)
    this.core.startFor(child, this.#waiter())
  }

  #newChild(options: ChildOptions, isDynamic: boolean): Child {
    const name = 'abcdefgh'[this.#children.length] ?? 'z'
    const home: Home = { drop: () => {}, current: (child) => child }
    const child = new Child(lives().life(name, options), { name, path: `sup/${name}`, isDynamic }, home)
    this.#children.push(child)
    return child
  }

  #waiter(): { resolve(): void; reject(error: unknown): void } {
    this.#waiting += 1
    let isDone = false
    const settle = (error?: unknown): void => {
      if (isDone) this.#wrong('somebody was answered twice')
      isDone = true
      this.#waiting -= 1
      if (error instanceof Failure) this.#pay(error, 'answered')
    }
    return { resolve: () => settle(), reject: settle }
  }

  #failure(child: Child | undefined): Failure {
    const failure = new Failure({ error: 'no', path: child?.path ?? 'sup', kind: 'thrown', at: this.#now })
    this.#owed.add(failure)
    return failure
  }

  #pay(failure: Failure, how: string): void {
    if (failure.kind === 'restarts') return // made by the core itself
    if (!this.#owed.delete(failure)) this.#wrong(`a failure was ${how}, but not for the first time`)
  }

  #mirror(event: SupervisorEvent): void {
    if (!this.#chart.can(event)) this.#wrong(`its chart cannot take ${event.type} in ${String(this.#chart.value)}`)
    this.#chart = getNextSnapshot(supervisorMachine, this.#chart, event)
  }

  #step(name: string, run: () => void): void {
    this.log.push(name)
    run()
    this.#check()
  }

  #check(): void {
    const children = [...this.core.statics, ...this.core.dynamics]
    for (const child of children) {
      if (child.isAlive !== this.#lives.has(child)) this.#wrong(`${child.name} is not what its supervisor takes it for`)
      if (child.isAlive && (child.status === 'stopped' || child.status === 'restarting')) {
        this.#wrong(`${child.name} is ${child.status} and alive`)
      }
      if (!child.isAlive && (child.status === 'running' || child.status === 'stopping')) {
        this.#wrong(`${child.name} is ${child.status} without an actor`)
      }
    }
    for (const child of this.#lives.keys()) if (!children.includes(child)) this.#wrong(`${child.name} is an orphan`)
    const { running, restarting, stopped, total, dynamic } = this.core.counts
    const having = (status: string): number => children.filter((child) => child.status === status).length
    const isCounted =
      running === having('running') &&
      restarting === having('restarting') &&
      stopped === having('stopped') &&
      total === children.length &&
      dynamic === this.core.dynamics.size
    if (!isCounted) this.#wrong('its counts are wrong')
    this.#checkChart(children)
  }

  #checkChart(children: readonly Child[]): void {
    const state = String(this.#chart.value)
    const isOver = this.end !== undefined
    const expected = isOver
      ? [this.end?.failure === undefined ? 'stopped' : 'failed']
      : this.core.isStopped
        ? ['stopping']
        : this.#isReady
          ? ['running', 'restarting']
          : ['starting']
    if (!expected.includes(state)) this.#wrong(`its chart is in ${state}, not in ${expected.join(' or ')}`)
    if (state === 'running' && children.some(({ status }) => status === 'restarting')) {
      this.#wrong('a child is restarting, the chart is running')
    }
    if (isOver && this.#lives.size > 0) this.#wrong('it is over, and a child is not')
  }

  /** After everything came to its end nothing is on its way. */
  #checkAtRest(): void {
    for (const child of [...this.core.statics, ...this.core.dynamics]) {
      if (child.status !== 'running' && child.status !== 'stopped')
        this.#wrong(`${child.name} is ${child.status} for ever`)
    }
    if (this.end !== undefined) return
    if (this.#chart.value !== 'running') this.#wrong(`it is ${String(this.#chart.value)} for ever`)
    if (this.#isStopping) this.#wrong('it was asked to stop, and runs')
  }

  #settle(): void {
    for (let steps = 0; steps < 1_000; steps += 1) {
      const next = this.actions.find(({ name }) => / is ready$| is down$|^wait is over$/.test(name))
      if (next === undefined) return
      next.run()
    }
    this.#wrong('it never comes to rest')
  }

  #picture(): string {
    const children = [...this.core.statics, ...this.core.dynamics]
    const all = children.map(({ name, status, generation }) => `${name} ${status} ${generation}`)
    return [...all, String(this.#chart.value), this.#waits.size, this.#owed.size].join(', ')
  }

  #wrong(what: string): never {
    throw new Error(`${what}, after: ${this.log.join('; ')}`)
  }
}
