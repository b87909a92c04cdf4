import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  actor,
  escalate,
  exponential,
  Failure,
  restart,
  resume,
  start,
  stop,
  supervisor,
  task,
  UnknownTaskError,
  type AnyEvent,
  type Decision,
  type Definition,
  type RootDecision,
  type System,
  type Task,
  type TreeNode,
} from 'rootcatch'
import { manualClock, settle, type ManualClock } from 'rootcatch/testing'
import { fromCallback, setup } from 'xstate'

const RUNS = 2_000

/** What a random actor does when it starts and when it is asked to stop. */
interface ProbePlan {
  readonly kind: 'probe'
  readonly restart: 'permanent' | 'transient' | 'temporary'
  readonly significant: boolean
  /** Its n-th start throws, counted over the whole run; 0: none does. */
  readonly failsAtStart: number
  readonly onShutdown: 'ends' | 'ignores' | 'unknown'
  readonly cleanupThrows: boolean
}

interface TaskPlan {
  readonly kind: 'task'
}

interface SupervisorPlan {
  readonly kind: 'supervisor'
  readonly strategy: 'one-for-one' | 'one-for-all' | 'rest-for-one'
  readonly restart: 'permanent' | 'transient' | 'temporary'
  readonly limit: number
  readonly hasBackoff: boolean
  readonly autoShutdown: 'never' | 'any' | 'all'
  readonly catch: 'none' | 'resume' | 'value' | 'restart' | 'stop' | 'escalate' | 'throws' | 'nonsense'
  readonly children: readonly Plan[]
}

type Plan = ProbePlan | TaskPlan | SupervisorPlan

type Command =
  | { readonly do: 'crash' | 'end' | 'stopChild' | 'restartChild' | 'deleteChild'; readonly at: number }
  | { readonly do: 'spawn' | 'startChild'; readonly at: number; readonly plan: ProbePlan }
  | { readonly do: 'run'; readonly at: number }
  | { readonly do: 'advance'; readonly ms: number }

const restartType = fc.constantFrom('permanent' as const, 'transient' as const, 'temporary' as const)

const probePlan: fc.Arbitrary<ProbePlan> = fc.record({
  kind: fc.constant('probe' as const),
  restart: restartType,
  significant: fc.boolean(),
  failsAtStart: fc.constantFrom(0, 0, 0, 0, 2, 3),
  onShutdown: fc.constantFrom('ends' as const, 'ignores' as const, 'unknown' as const, 'unknown' as const),
  cleanupThrows: fc.constantFrom(false, false, false, true),
})

const taskPlan: fc.Arbitrary<TaskPlan> = fc.record({ kind: fc.constant('task' as const) })

const supervisorPlan = (children: fc.Arbitrary<readonly Plan[]>): fc.Arbitrary<SupervisorPlan> =>
  fc.record({
    kind: fc.constant('supervisor' as const),
    strategy: fc.constantFrom('one-for-one' as const, 'one-for-all' as const, 'rest-for-one' as const),
    restart: restartType,
    limit: fc.integer({ min: 0, max: 3 }),
    hasBackoff: fc.boolean(),
    autoShutdown: fc.constantFrom('never' as const, 'never' as const, 'any' as const, 'all' as const),
    catch: fc.constantFrom(
      'none' as const,
      'none' as const,
      'resume' as const,
      'value' as const,
      'restart' as const,
      'stop' as const,
      'escalate' as const,
      'throws' as const,
      'nonsense' as const,
    ),
    children,
  })

const leaf = fc.oneof({ weight: 4, arbitrary: probePlan }, { weight: 1, arbitrary: taskPlan })
const inner = supervisorPlan(fc.array(leaf, { maxLength: 4 }))
const rootPlan = supervisorPlan(fc.array(fc.oneof(leaf, inner), { minLength: 1, maxLength: 4 }))

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('crash' as const, 'crash' as const, 'crash' as const, 'end' as const),
      at: fc.nat(30),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('stopChild' as const, 'restartChild' as const, 'deleteChild' as const),
      at: fc.nat(30),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('spawn' as const, 'startChild' as const),
      at: fc.nat(10),
      plan: probePlan,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('run' as const), at: fc.nat(10) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 50, 700, 6_000) }) },
)

/** Everything one run did, as the probes themselves and the events saw it. */
class Story {
  /** Probes that live, by path, each by the number of its life. */
  readonly live = new Map<string, number[]>()
  /** Paths in the order their probes began to live, and ended. */
  readonly began: string[] = []
  readonly ended: string[] = []
  /** Each error that was thrown, and how often it was reported. */
  readonly reports = new Map<unknown, number>()
  readonly rounds: { readonly path: string; readonly life: number; readonly at: number }[] = []
  readonly limits = new Map<string, number>()
  /** How often each child has started: a window of restarts belongs to one life of its supervisor. */
  readonly #starts = new Map<string, number>()
  #lives = 0

  throwing(what: string): Error {
    const error = new Error(what)
    this.reports.set(error, 0)
    return error
  }

  reported(error: unknown): void {
    const known = this.reports.get(error)
    if (known !== undefined) this.reports.set(error, known + 1)
  }

  begin(path: string): number {
    this.#lives += 1
    this.live.set(path, [...(this.live.get(path) ?? []), this.#lives])
    this.began.push(path)
    return this.#lives
  }

  end(path: string, life: number): void {
    const rest = (this.live.get(path) ?? []).filter((other) => other !== life)
    if (rest.length === 0) this.live.delete(path)
    else this.live.set(path, rest)
    this.ended.push(path)
  }

  hear(event: AnyEvent): void {
    if (event.type === 'failure.decided') this.reported(event.failure.error)
    if (event.type === 'actor.started') this.#starts.set(event.path, this.#startsOf(event.path) + 1)
    if (event.type === 'supervisor.restarting') {
      const { path, at } = event
      this.rounds.push({ path, life: this.#startsOf(path), at })
    }
  }

  #startsOf(path: string): number {
    return this.#starts.get(path) ?? 0
  }
}

/** A machine whose life is seen from outside: by a callback it invokes, begun after its start and disposed at its end. */
function probe(story: Story, plan: ProbePlan, path: string) {
  let starts = 0
  const life = fromCallback(() => {
    starts += 1
    if (starts === plan.failsAtStart) throw story.throwing(`${path} start`)
    const number = story.begin(path)
    return () => {
      story.end(path, number)
      if (plan.cleanupThrows) throw story.throwing(`${path} cleanup`)
    }
  })
  const onShutdown = { ends: { target: 'gone' }, ignores: { actions: 'ignore' }, unknown: undefined }[plan.onShutdown]
  return setup({
    actors: { life },
    actions: {
      crash: () => {
        throw story.throwing(`${path} crash`)
      },
      ignore: () => {},
    },
  }).createMachine({
    invoke: { src: 'life' },
    initial: 'up',
    states: {
      up: { on: { crash: { actions: 'crash' }, end: 'gone', ...(onShutdown && { shutdown: onShutdown as never }) } },
      gone: { type: 'final' },
    },
  })
}

function define(story: Story, plan: Plan, name: string, parent: string, mayBeSignificant: boolean): Definition {
  const path = parent === '' ? name : `${parent}/${name}`
  switch (plan.kind) {
    case 'task':
      return task(name, async () => {
        throw story.throwing(`${path} job`)
      })
    case 'probe': {
      const significant = mayBeSignificant && plan.significant && plan.restart !== 'permanent'
      return actor(name, probe(story, plan, path), { restart: plan.restart, significant, shutdown: '1s' })
    }
    case 'supervisor': {
      const { strategy, limit, autoShutdown } = plan
      story.limits.set(path, limit)
      const children = plan.children.map((child, index) =>
        define(story, child, `${child.kind}${index}`, path, autoShutdown !== 'never'),
      )
      return supervisor(
        name,
        {
          strategy,
          autoShutdown,
          restart: plan.restart,
          restarts: { limit, within: '5s' },
          ...(plan.hasBackoff && { backoff: exponential({ from: '100ms', to: '1s' }) }),
          ...(plan.catch !== 'none' && { catch: () => answer(plan.catch) as Decision }),
        },
        children,
      )
    }
  }
}

function answer(word: string): unknown {
  switch (word) {
    case 'resume':
      return resume
    case 'value':
      return resume('a value')
    case 'restart':
      return restart
    case 'stop':
      return stop
    case 'escalate':
      return escalate
    case 'throws':
      throw new Error('catch threw')
    default:
      return Promise.resolve(restart)
  }
}

const nodesOf = (node: TreeNode): readonly TreeNode[] => [node, ...(node.children ?? []).flatMap(nodesOf)]

/** Carries a command out, as far as the tree allows; refusals by a named error are fine, failures were reported by it. */
async function carryOut(
  story: Story,
  system: System,
  tasks: readonly Definition[],
  now: Command,
  index: number,
): Promise<void> {
  const nodes = nodesOf(system.tree())
  const pick = (of: readonly TreeNode[], at: number): TreeNode | undefined => of[at % Math.max(1, of.length)]
  const supervisors = nodes.filter(({ kind }) => kind === 'supervisor')
  switch (now.do) {
    case 'advance':
      return
    case 'run': {
      const asked = tasks[now.at % Math.max(1, tasks.length)]
      const isThere = nodes.some(({ name, kind }) => kind === 'task' && name === asked?.name)
      if (asked?.kind === 'task' && isThere && !system.isStopped) {
        try {
          void system.run(asked as Task<unknown>).settled()
        } catch (error) {
          if (!(error instanceof UnknownTaskError)) throw error // deleted, and another of that name is meant
        }
      }
      return
    }
    case 'spawn':
    case 'startChild': {
      const under = pick(supervisors, now.at)
      if (under === undefined || system.isStopped) return
      const name = now.do === 'spawn' ? 'dynamic' : `added${index}`
      const path = `${under.path}/${name}`
      const definition = define(story, now.plan, name, under.path, false)
      const started =
        now.do === 'spawn'
          ? system.spawn(actor(`${name}${index}`, probe(story, now.plan, `${path}${index}:1`)), { under: under.path })
          : system.supervisor(under.path).startChild(definition)
      return started.then(
        () => {},
        (error: unknown) => error instanceof Failure && story.reported(error.error),
      ) as Promise<void>
    }
    default: {
      const target = pick(nodes.slice(1), now.at)
      if (target === undefined) return
      const parent = target.path.slice(0, target.path.lastIndexOf('/'))
      if (now.do === 'crash' || now.do === 'end') {
        const child = system
          .supervisor(parent)
          .children()
          .find(({ path }) => path === target.path)
        if (target.kind === 'actor') child?.ref.send({ type: now.do })
        return
      }
      await system
        .supervisor(parent)
        [now.do](target.name)
        .then(
          () => {},
          (error: unknown) => error instanceof Failure && story.reported(error.error),
        )
    }
  }
}

function checkNothingIsLeft(story: Story, clock: ManualClock): void {
  expect([...story.live.keys()], 'nothing lives after a stop or a failed start').toEqual([])
  expect(clock.pending, 'no timer is left').toBe(0)
}

function checkTree(story: Story, system: System): void {
  const nodes = new Map(nodesOf(system.tree()).map((node) => [node.path, node]))
  for (const [path, lives] of story.live) {
    expect(lives, `${path} has one life at a time`).toHaveLength(1)
    for (let above = path.lastIndexOf('/'); above > 0; above = path.lastIndexOf('/', above - 1)) {
      const supervisorAbove = nodes.get(path.slice(0, above))
      expect(supervisorAbove?.status, `${path} lives, so what is above it does`).not.toBe('stopped')
    }
  }
}

function checkLimits(story: Story): void {
  const byLife = Map.groupBy(story.rounds, ({ path, life }) => `${path}#${life}`)
  for (const rounds of byLife.values()) {
    const limit = story.limits.get(rounds[0]?.path ?? '') ?? 0
    for (const { at } of rounds) {
      const within = rounds.filter((other) => other.at <= at && at - other.at <= 5_000)
      expect(within.length, `rounds of ${rounds[0]?.path} within 5 s`).toBeLessThanOrEqual(limit)
    }
  }
}

/** Static children of one supervisor, in the order they are defined; only those that began exactly once. */
function checkFirstStart(story: Story, plan: SupervisorPlan, path: string): void {
  const probes = plan.children.flatMap((child, index) => (child.kind === 'probe' ? [`${path}/probe${index}`] : []))
  const began = story.began.filter((each) => probes.includes(each))
  expect(began, `start order under ${path}`).toEqual(probes.slice(0, began.length))
  plan.children.forEach((child, index) => {
    if (child.kind === 'supervisor') checkFirstStart(story, child, `${path}/supervisor${index}`)
  })
}

/** What lived when the stop began ends in reverse order of its place, dynamic children before static ones. */
function checkStopOrder(living: readonly string[], story: Story, from: number): void {
  const ended = story.ended.slice(from).filter((path) => living.includes(path))
  const byParent = Map.groupBy(ended, (path) => path.slice(0, path.lastIndexOf('/')))
  for (const [parent, paths] of byParent) {
    const wanted = living
      .filter((path) => path.slice(0, path.lastIndexOf('/')) === parent && !path.includes(':'))
      .toReversed()
    expect(
      paths.filter((path) => !path.includes(':')),
      `stop order under ${parent}`,
    ).toEqual(wanted)
    const lastDynamic = paths.findLastIndex((path) => path.includes(':'))
    const firstStatic = paths.findIndex((path) => !path.includes(':'))
    if (lastDynamic !== -1 && firstStatic !== -1) expect(lastDynamic).toBeLessThan(firstStatic)
  }
}

const tasksOf = (definition: Definition): readonly Definition[] =>
  definition.kind === 'supervisor'
    ? definition.children.flatMap(tasksOf)
    : definition.kind === 'task'
      ? [definition]
      : []

async function play(plan: SupervisorPlan, rootAnswer: string, commands: readonly Command[]): Promise<void> {
  const story = new Story()
  const clock = manualClock()
  const root = define(story, plan, 'app', '', false)
  const tasks = tasksOf(root)
  let system: System
  try {
    system = await start(root, { clock, random: () => 0.5, catch: () => answer(rootAnswer) as RootDecision })
  } catch (error) {
    if (error instanceof Failure) story.reported(error.error)
    else throw error
    return checkNothingIsLeft(story, clock)
  }
  checkFirstStart(story, plan, 'app')
  system.on('*', (event) => story.hear(event))
  const waiting: Promise<void>[] = []
  for (const [index, now] of commands.entries()) {
    waiting.push(carryOut(story, system, tasks, now, index))
    await (now.do === 'advance' ? clock.advance(now.ms) : settle())
    checkTree(story, system)
  }
  const living = nodesOf(system.tree())
    .filter(({ status }) => status === 'running')
    .map(({ path }) => path)
    .filter((path) => story.live.has(path))
  const from = story.ended.length
  const isCalm = !system.isStopped && nodesOf(system.tree()).every(({ state }) => state !== 'restarting')
  const stopped = system.stop()
  for (let round = 0; round < 12; round += 1) await clock.advance('2s')
  await stopped
  await Promise.all(waiting)
  await system.done.catch(() => {})
  await settle()

  checkNothingIsLeft(story, clock)
  checkLimits(story)
  if (isCalm) checkStopOrder(living, story, from)
  for (const [error, count] of story.reports) expect(count, `reports of "${String(error)}"`).toBe(1)
}

describe('random trees', () => {
  test(
    `keep every promise in ${RUNS} runs of random crashes, stops and admin calls`,
    { timeout: 240_000 },
    async () => {
      const rootAnswer = fc.constantFrom('resume', 'restart', 'stop', 'throws', 'nonsense')
      await fc.assert(fc.asyncProperty(rootPlan, rootAnswer, fc.array(command, { maxLength: 25 }), play), {
        numRuns: RUNS,
      })
    },
  )
})
