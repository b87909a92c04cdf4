import type { Failure } from '../failure.ts'
import { copyJson, type Json } from '../payload.ts'
import type { HookName, JobHookEvent, Plugin, PluginTask } from '../plugin.ts'
import type { RunOutcome } from '../run.ts'
import type { CallEnd } from './attempt.ts'
import { callHook, isThenable, reportPlugin } from './call-hook.ts'
import type { Origin } from './floating.ts'
import type { HookTable } from './hook-table.ts'
import type { JobPolicy } from './job-policy.ts'
import type { Tree } from './tree.ts'

/** Whose jobs the hooks are called for. */
export interface HookOwner {
  readonly tree: Tree
  readonly path: string
  readonly definition: JobPolicy
  readonly hooks: HookTable
  /** Hooks of one more job are under way, or of one less. */
  watch(change: 1 | -1): void
}

/** A job as its hooks are told of it. */
export interface Hooked {
  readonly id: string
  readonly path: string
  readonly attempt: number
  readonly stored: Json
  readonly idempotencyKey: string
  readonly origin: Origin | undefined
  late(end: CallEnd): void
}

/** Calls the hooks of one job, one at a time. Those that only watch hold up nothing but each other. */
export class JobHooks {
  readonly #owner: HookOwner
  /** What is under way; undefined while nothing is. */
  #last: Promise<void> | undefined

  constructor(owner: HookOwner) {
    this.#owner = owner
  }

  /** Undefined if the body may begin at once. */
  before(job: Hooked, input: unknown, signal: AbortSignal): Promise<void> | undefined {
    const { hooks, definition } = this.#owner
    if (hooks.before.length === 0) return this.#last
    const { attempt, stored } = job
    const event = eventOf(this.#owner, job)
    const tell = (plugin: Plugin): Promise<void> | undefined => {
      if (signal.aborted) return undefined
      const given = definition.schema === undefined ? copyJson(stored) : input
      const call = { job, plugin, hook: 'before', withdrawn: signal } as const
      return this.#call(call, () => plugin.hooks.before?.({ ...event, attempt, input: given, signal }))
    }
    const tellAll = (): Promise<void> | undefined => each(hooks.before, tell)
    return this.#last === undefined ? tellAll() : this.#last.then(tellAll)
  }

  /** Calls the body inside of all that stand around it. `body` gives its value; what it throws passes through. */
  around(job: Hooked, input: unknown, signal: AbortSignal, body: () => unknown): unknown {
    const { hooks, tree } = this.#owner
    const event = { ...eventOf(this.#owner, job), attempt: job.attempt, input, signal }
    let next = body
    for (const plugin of hooks.around) {
      const inner = once(plugin, job.path, next)
      const call = { tree, timeout: undefined, origin: job.origin }
      next = () => callHook(call, () => plugin.hooks.around?.({ ...event, next: inner }))
    }
    return next()
  }

  after(job: Hooked, value: Json, answeredBy: string | undefined): void {
    const { attempt } = job
    this.#watch(job, 'after', (event, { hooks }) =>
      hooks.after?.({ ...event, attempt, value: copyJson(value), answeredBy }),
    )
  }

  retrying(job: Hooked, failure: Failure, delay: number): void {
    this.#watch(job, 'retrying', (event, { hooks }) => hooks.retrying?.({ ...event, failure, delay }))
  }

  /** Undefined if all of them were over at once, and nothing else was under way. */
  settled(job: Hooked, outcome: RunOutcome): Promise<void> | undefined {
    const { status, value, attempts, failure } = outcome
    const reason = outcome.status === 'cancelled' ? outcome.reason : undefined
    return this.#watch(job, status, (event, { hooks }) =>
      hooks[status]?.({ ...event, status, value: copyJson(value as Json), failure, reason, attempts }),
    )
  }

  #watch(
    job: Hooked,
    hook: 'after' | 'retrying' | RunOutcome['status'],
    tell: (event: JobHookEvent, plugin: Plugin) => unknown,
  ): Promise<void> | undefined {
    const plugins = this.#owner.hooks[hook]
    if (plugins.length === 0) return this.#last
    const event = eventOf(this.#owner, job)
    return this.#inLine(() => each(plugins, (plugin) => this.#call({ job, plugin, hook }, () => tell(event, plugin))))
  }

  #inLine(step: () => Promise<void> | undefined): Promise<void> | undefined {
    const under = this.#last === undefined ? step() : this.#last.then(step)
    if (under === undefined) return undefined
    this.#owner.watch(1)
    const last = under.then(() => {
      if (this.#last === last) this.#last = undefined
      this.#owner.watch(-1)
    })
    this.#last = last
    return last
  }

  /** Calls one hook that only watches: its throw is reported, and that is all. */
  #call({ job, plugin, hook, withdrawn }: Watching, body: () => unknown): Promise<void> | undefined {
    const { tree, definition } = this.#owner
    const { origin } = job
    const threw = (thrown: unknown): void => {
      if (withdrawn?.aborted !== true) reportPlugin(tree, job, { plugin, hook, thrown })
    }
    const late = (end: CallEnd): void => job.late(end)
    try {
      const call = { tree, timeout: definition.hookTimeout, origin, late, ...(withdrawn && { withdrawn }) }
      const result = callHook(call, body)
      return isThenable(result) ? Promise.resolve(result).then(() => {}, threw) : undefined
    } catch (thrown) {
      return void threw(thrown)
    }
  }
}

interface Watching {
  readonly job: Hooked
  readonly plugin: Plugin
  readonly hook: HookName
  readonly withdrawn?: AbortSignal
}

/** What a hook is told of its job. */
export function eventOf(
  { tree, path, definition }: Omit<HookOwner, 'watch' | 'hooks'>,
  job: Omit<Hooked, 'origin' | 'late'>,
): JobHookEvent {
  const { id, attempt, stored, idempotencyKey } = job
  return {
    task: taskOf(definition, path),
    run: { id, path: job.path, attempt, input: copyJson(stored), idempotencyKey },
    broker: tree.broker,
  }
}

export function taskOf(
  { name, description, tags }: Pick<JobPolicy, 'name' | 'description' | 'tags'>,
  path: string,
): PluginTask {
  return { name, path, description, tags }
}

/** One after the other; at once as far as they are over at once. */
function each(
  plugins: readonly Plugin[],
  tell: (plugin: Plugin) => Promise<void> | undefined,
): Promise<void> | undefined {
  for (const [index, plugin] of plugins.entries()) {
    const under = tell(plugin)
    if (under !== undefined) return under.then(() => each(plugins.slice(index + 1), tell))
  }
  return undefined
}

/** A body that two calls of `next()` would run twice. */
function once(plugin: Plugin, path: string, next: () => unknown): () => Promise<unknown> {
  let isCalled = false
  return async () => {
    if (isCalled) throw new Error(`plugin "${plugin.name}" called next() twice around ${path}. Call it once.`)
    isCalled = true
    return next()
  }
}
