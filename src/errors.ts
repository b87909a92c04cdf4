import { brandClass, identify, isInstance } from './brand.ts'
import { formatDuration } from './duration.ts'
import { evidenceOf, guarded, peek, textOf, unreadableText } from './evidence.ts'
import { nearest } from './nearest.ts'

/** What every error of rootcatch extends: `code` is short and stable, `name` is the class. */
export abstract class RootcatchError<Code extends string = string> extends Error {
  declare readonly code: Code
  static {
    brandClass(this, Symbol.for('rootcatch.error'))
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return isInstance(this, value)
  }

  /** Without it an error is `{}` in JSON. */
  toJSON(): { readonly name: string; readonly code: Code; readonly message: string } {
    return { name: this.name, code: this.code, message: this.message }
  }
}

/**
 * An option nobody knows was given; nothing was defined or started.
 *
 * - Why: A slip in a name, or an option of another definition.
 * - Fix: Write the name that the message suggests, or leave the option out.
 */
export class UnknownOptionError extends RootcatchError<'unknown-option'> {
  static {
    identify(this, 'UnknownOptionError', 'unknown-option')
  }

  constructor(subject: string, key: string, known: readonly string[]) {
    super(`${subject} got an unknown option ${quote(key)}. ${suggest(key, known, 'It knows')}`)
  }
}

/**
 * An option has a value it cannot have; nothing was defined or started.
 *
 * - Why: The value is of the wrong type or out of range; often it came from the environment, as a text.
 * - Fix: Write what the last sentence of the message asks for.
 */
export class InvalidOptionError extends RootcatchError<'invalid-option'> {
  static {
    identify(this, 'InvalidOptionError', 'invalid-option')
  }

  constructor(subject: string, key: string, value: unknown, advice: string) {
    super(`${subject} got ${key} ${evidenceOf(value)}. ${advice}`)
  }
}

/**
 * Two things would have one path, or one thing two; nothing was started.
 *
 * - Why: A name is a place in the tree, and one definition can be at one place only.
 * - Fix: Rename one of them, or make a definition for each place by a function that calls `task()` or `supervisor()`.
 */
export class DuplicateNameError extends RootcatchError<'duplicate-name'> {
  static {
    identify(this, 'DuplicateNameError', 'duplicate-name')
  }

  /** Two children of one supervisor have the same name; positions count from 1. */
  static ofSiblings(parent: string, name: string, first: number, second: number): DuplicateNameError {
    const positions = `the ${ordinal(first)} and the ${ordinal(second)}`
    return new DuplicateNameError(`${parent} has two children named ${quote(name)}, ${positions}. Rename one of them.`)
  }

  /** One definition stands at two places of a tree. */
  static ofPlaces(definition: string, first: string, second: string): DuplicateNameError {
    return new DuplicateNameError(
      `${definition} stands at ${first} and at ${second}. Give each place its own definition.`,
    )
  }
}

/**
 * A task was asked for that stands nowhere in the tree; nothing was queued.
 *
 * - Why: The definition that was run is not in the tree, or is another object of the same name.
 * - Fix: Give `start()` the very definition that `run()` gets, alone or under a supervisor.
 */
export class UnknownTaskError extends RootcatchError<'unknown-task'> {
  static {
    identify(this, 'UnknownTaskError', 'unknown-task')
  }

  static ofSpider(spider: string, known: readonly string[]): UnknownTaskError {
    return new UnknownTaskError(spider, known, 'spider')
  }

  constructor(task: string, known: readonly string[], kind: 'task' | 'spider' = 'task') {
    const others = known.length === 0 ? 'it has none' : `it has: ${list(known)}`
    super(`this system has no ${kind} ${quote(task)}. Put it under a supervisor given to start(); ${others}.`)
  }
}

/**
 * No job of that id is kept: it was replayed, discarded, forgotten, or never there; nothing was queued.
 *
 * - Why: A dead letter is gone after a replay or a discard, and outcomes are kept for a time only.
 * - Fix: Ask `system.dead.list()` for the letters there are; ask for outcomes sooner, or raise `keepResults` of the
 *   broker.
 */
export class UnknownJobError extends RootcatchError<'unknown-job'> {
  static {
    identify(this, 'UnknownJobError', 'unknown-job')
  }

  /** A job is over, and what it came to is no longer kept. */
  static ofResult(path: string): UnknownJobError {
    return new UnknownJobError(
      path,
      `the outcome of ${path} is no longer kept. Ask for it earlier, or give it a new key.`,
    )
  }

  constructor(id: string, message?: string) {
    const noLetter = `there is no dead letter ${quote(id)} of a task in this system`
    super(message ?? `${noLetter}. Look at dead.list() for those there are.`)
  }
}

/**
 * No supervisor stands at that path.
 *
 * - Why: A slip in the path, the path of a task or actor, or of a supervisor that is gone.
 * - Fix: Begin with the name of the root, as in `app/media`; `system.tree()` shows every path.
 */
export class UnknownPathError extends RootcatchError<'unknown-path'> {
  static {
    identify(this, 'UnknownPathError', 'unknown-path')
  }

  constructor(path: string, known: readonly string[]) {
    super(`there is no supervisor at ${quote(path)}. ${suggest(path, known, 'There are')}`)
  }
}

/**
 * A supervisor has no child of that name; nothing was changed.
 *
 * - Why: A slip, or a child that was forgotten: dynamic and temporary ones are as soon as they are down.
 * - Fix: Take a name that `children()` of the supervisor lists.
 */
export class UnknownChildError extends RootcatchError<'unknown-child'> {
  static {
    identify(this, 'UnknownChildError', 'unknown-child')
  }

  constructor(path: string, name: string, known: readonly string[]) {
    super(`${path} has no child ${quote(name)}. ${suggest(name, known, 'It has')}`)
  }
}

/**
 * The call needs a child that is down, and this one runs; it was left alone.
 *
 * - Why: `restartChild` and `deleteChild` are for children that are down, `startChild` for a name that is free.
 * - Fix: Call `stopChild(name)` first, or take another name.
 */
export class ChildRunningError extends RootcatchError<'child-running'> {
  static {
    identify(this, 'ChildRunningError', 'child-running')
  }

  constructor(path: string, name: string) {
    super(`${path}/${name} is running. Call ${call('stopChild', name)} first.`)
  }
}

/**
 * A stopped child of that name is still kept; nothing was added.
 *
 * - Why: `stopChild` and the decision `stop` keep the definition, so that the child can be started again.
 * - Fix: Call `restartChild(name)` for the kept definition, `deleteChild(name)` to make room for a new one.
 */
export class ChildStoppedError extends RootcatchError<'child-stopped'> {
  static {
    identify(this, 'ChildStoppedError', 'child-stopped')
  }

  constructor(path: string, name: string) {
    const wayOut = `Use ${call('restartChild', name)}, or ${call('deleteChild', name)} first.`
    super(`${path} keeps a stopped child ${quote(name)}. ${wayOut}`)
  }
}

/**
 * The call needs a child that is settled, and this one is being restarted; the restart goes on.
 *
 * - Why: The child failed; it waits for its backoff, or is not ready yet.
 * - Fix: Wait for its event `actor.started`, or call `stopChild(name)` to end the restart.
 */
export class ChildRestartingError extends RootcatchError<'child-restarting'> {
  static {
    identify(this, 'ChildRestartingError', 'child-restarting')
  }

  constructor(path: string, name: string, nextTryInMs?: number) {
    const next = nextTryInMs === undefined ? '' : `, next try in ${formatDuration(nextTryInMs)}`
    super(`${path}/${name} is being restarted${next}. Call ${call('stopChild', name)} to end that.`)
  }
}

/**
 * The supervisor is stopped, so the call did nothing.
 *
 * - Why: It was stopped, it failed, or `autoShutdown` ended it. Its handle answers again when it is back.
 * - Fix: Call `restartChild(name)` of its parent; for a root, `start()`.
 */
export class SupervisorStoppedError extends RootcatchError<'supervisor-stopped'> {
  static {
    identify(this, 'SupervisorStoppedError', 'supervisor-stopped')
  }

  constructor(path: string, method: string) {
    const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')))
    const wayOut =
      parent === '' ? 'It is the root; start the system again.' : `Restart it through its parent, ${parent}.`
    super(`${path} is stopped, so ${method} did nothing. ${wayOut}`)
  }
}

/**
 * The system stopped before a job was over, or before a call was made; a durable broker keeps the job.
 *
 * - Why: `stop()` was called, a signal came, or a failure stopped the system, while the job waited or ran.
 * - Fix: Await the runs you need before `stop()`, or take a durable broker: the next process goes on with the job.
 */
export class SystemStoppedError extends RootcatchError<'system-stopped'> {
  static {
    identify(this, 'SystemStoppedError', 'system-stopped')
  }

  constructor(system: string, what: { readonly job: string } | { readonly method: string }) {
    super(
      'job' in what
        ? `system ${quote(system)} stopped before job ${what.job} was over. Await its runs before stop(), or use a durable broker.`
        : `system ${quote(system)} is stopped, so ${what.method} did nothing. Start it again with start().`,
    )
  }
}

/**
 * A `catch` answered something that is no decision; the failure climbed, and at the root the system stopped.
 *
 * - Why: The `catch` is async, has no `return` on some way, or returned a text such as `'restart'`.
 * - Fix: Return one of `resume`, `restart`, `stop`, `escalate` of `rootcatch` at once, and begin slow things without
 *   awaiting them.
 */
export class InvalidDecisionError extends RootcatchError<'invalid-decision'> {
  static {
    identify(this, 'InvalidDecisionError', 'invalid-decision')
  }

  /** `path` is '' for the root catch, which has nobody to climb to. */
  constructor(path: string, given: unknown, climbedTo?: string) {
    super(
      path === ''
        ? `root catch returned ${decisionEvidence(given)}. Return resume, restart or stop at once; the system was stopped.`
        : `catch of ${path} returned ${decisionEvidence(given)}. Return resume, restart, stop or escalate at once; the failure climbed to ${climbedTo || 'the root catch'}.`,
    )
  }
}

/**
 * One restart more was needed than the limit allows: of an actor, and its supervisor fails; of one job, and it climbs.
 *
 * - Why: A child kept failing or ending faster than `restarts` allows, or one job was restarted too often.
 * - Fix: Look at `failure.error`; then slow restarts down by `backoff`, or raise `restarts.limit`.
 */
export class RestartLimitError extends RootcatchError<'restart-limit'> {
  readonly path: string
  readonly limit: number
  static {
    identify(this, 'RestartLimitError', 'restart-limit')
  }

  /** One job needed the restart: jobs are counted for life, without a window. */
  static ofJob(path: string, limit: number): RestartLimitError {
    return new RestartLimitError(path, limit)
  }

  /** Without `withinMs` it is about one job. */
  constructor(path: string, limit: number, withinMs?: number) {
    const counted = withinMs === undefined ? 'of one job' : `within ${formatDuration(withinMs)}`
    const needed = `needed a ${ordinal(limit + 1)} restart ${counted}, restarts.limit is ${limit}`
    super(`${path} ${needed}. Look at the failure it was for; raise the limit if this is expected.`)
    this.path = path
    this.limit = limit
  }
}

/**
 * Time ran out. An attempt's signal is aborted, and it counts as if the body had thrown this; a start has failed.
 *
 * - Why: What the body awaits does not come, or does not end when `ctx.signal` aborts; or `ready()` stays false.
 * - Fix: Pass `ctx.signal` on; raise `timeout` or `startTimeout` if that time is needed.
 */
export class TimeoutError extends RootcatchError<'timeout'> {
  static {
    identify(this, 'TimeoutError', 'timeout')
  }

  /** A child was not ready in time. */
  static ofStart(path: string, ms: number): TimeoutError {
    return new TimeoutError(path, ms)
  }

  /** Without attempts it is about a start. */
  constructor(subject: string, ms: number, attempt?: number, attempts?: number) {
    const time = formatDuration(ms)
    super(
      attempt === undefined
        ? `${subject} was not ready after ${time}. Let ready() say true sooner, or raise startTimeout.`
        : `${subject} was not over after ${time}, attempt ${attempt} of ${attempts}. Pass ctx.signal to what it awaits, or raise timeout.`,
    )
  }
}

/**
 * A job was cancelled: it did not fail, nothing climbs, nothing is retried.
 *
 * - Why: `run.cancel()`, `ctx.cancel()` or the `signal` of the run asked for it; `reason` is what was given.
 * - Fix: Nothing is broken: ask `run.settled()` for the status, or catch this class around `await run`.
 */
export class CancelledError extends RootcatchError<'cancelled'> {
  /** As it was given, also undefined. */
  readonly reason: unknown
  static {
    identify(this, 'CancelledError', 'cancelled')
  }

  constructor(path: string, reason: unknown) {
    const because = reason === undefined ? '' : `: ${textOf(reason, 200)}`
    super(`job ${path} was cancelled${because}. Use run.settled() where a cancel is expected.`)
    this.reason = reason
  }
}

/**
 * Another worker may have the job now: its signal is aborted, and what it gives is not written.
 *
 * - Why: The event loop was blocked for longer than the lease, or the job ended its process again and again.
 * - Fix: Move long computing into a task with `isolate`; or raise `lease`, or `lostLimit`, of the broker.
 */
export class LeaseLostError extends RootcatchError<'lease-lost'> {
  static {
    identify(this, 'LeaseLostError', 'lease-lost')
  }

  /** It was lost so often that it is not given to anybody any more. */
  static ofLimit(path: string, times: number): LeaseLostError {
    const evidence = `was lost ${times} ${times === 1 ? 'time' : 'times'}: its process ended, or its lease ran out`
    return new LeaseLostError(path, 0, `job ${path} ${evidence}. See what it does to its process, or raise lostLimit.`)
  }

  constructor(path: string, leaseMs: number, message?: string) {
    const evidence = `lost its lease after ${formatDuration(leaseMs)} without renewal`
    super(message ?? `job ${path} ${evidence}. Keep the event loop free, or raise lease.`)
  }
}

/**
 * A plugin threw; it is reported, and the job's own error stays what it was.
 *
 * - Why: A hook threw, or gave no answer within `hookTimeout`; `cause` is what it threw.
 * - Fix: Mend the hook. The event `plugin.failed` tells of it where the job went on.
 */
export class PluginError extends RootcatchError<'plugin'> {
  readonly plugin: string
  readonly hook: string
  static {
    identify(this, 'PluginError', 'plugin')
  }

  constructor(plugin: string, hook: string, path: string, cause: unknown, consequence = 'The job went on') {
    const where = `plugin ${quote(plugin)} threw in hook ${quote(hook)} of ${path}`
    super(`${where}: ${textOf(cause, 200)}. ${consequence}; fix the plugin.`, { cause })
    this.plugin = plugin
    this.hook = hook
  }
}

/** What a schema found wrong; `path` is '' for the input as a whole. */
export interface InputIssue {
  readonly path: string
  readonly message: string
}

/**
 * An input does not fit the task's schema; nothing was queued, or the job failed with kind `input`.
 *
 * - Why: The schema in `input` refused it, when it was asked for, or when a stored one was taken later.
 * - Fix: Correct what `issues` lists; let a changed schema also take what is still queued.
 */
export class InputError extends RootcatchError<'input'> {
  readonly issues: readonly InputIssue[]
  static {
    identify(this, 'InputError', 'input')
  }

  constructor(name: string, issues: readonly InputIssue[], consequence = 'Nothing was queued', kind = 'task') {
    const found = list(
      issues.map(({ path, message }) => textOf(path === '' ? message : `${path}: ${message}`, 200)),
      { join: '; ', most: 5 },
    )
    super(`${kind} ${quote(name)} was given an input that does not fit: ${found}. ${consequence}; correct the input.`)
    this.issues = issues
  }
}

/**
 * An input or result cannot be kept as JSON, or is too large; nothing was queued, or the job failed with kind `result`.
 *
 * - Why: A `Date`, a `Map`, a class, a bigint, `NaN` or a cycle is in it, or it is over `maxPayload`.
 * - Fix: Pass plain data, and of big things a reference.
 */
export class PayloadError extends RootcatchError<'payload'> {
  static {
    identify(this, 'PayloadError', 'payload')
  }
}

/**
 * A task cannot do its work in a thread: nothing was started. Or a thread ended before its job: that attempt failed
 * with it, and the next one gets another thread.
 *
 * - Why: The thread imports the module that made the task and looks for it among the exports; or it ended itself.
 * - Fix: Export the task from a file that starts nothing; if its thread ended, do what the message says.
 */
export class IsolateError extends RootcatchError<'isolate'> {
  static {
    identify(this, 'IsolateError', 'isolate')
  }

  /** No export of the module is that task. */
  static ofExport(task: string, module: string): IsolateError {
    const wayOut = `Export it: export const ${/^[A-Za-z_]\w*$/.test(task) ? task : 'name'} = task(…).`
    return new IsolateError(`task ${quote(task)} has isolate: true, but ${module} does not export it. ${wayOut}`)
  }

  /** Two different exports of the module are tasks of that name. */
  static ofExports(task: string, module: string): IsolateError {
    return new IsolateError(`${module} exports two tasks named ${quote(task)}. Rename one of them.`)
  }

  /** `start` was called by what a thread imports. */
  static ofStart(task: string, module: string): IsolateError {
    const where = `${module}, or by what it imports, in a thread of task ${quote(task)}`
    return new IsolateError(`start() was called by ${where}. Move the task into a file of its own that starts nothing.`)
  }

  /** `ctx.run` was called where no system is. */
  static ofRun(task: string): IsolateError {
    const problem = `ctx.run() was called in a thread of task ${quote(task)}, where no system is`
    return new IsolateError(`${problem}. Call it in a task without isolate, which runs this one too.`)
  }

  /** The module threw when it was imported. */
  static ofImport(task: string, module: string, cause: unknown): IsolateError {
    const problem = `importing ${module} threw ${textOf(cause, 200)}`
    const text = `task ${quote(task)} cannot be loaded in a thread: ${problem}. Import it by hand to see where.`
    return new IsolateError(text, { cause })
  }

  /** The module was not there in time. */
  static ofWait(task: string, module: string, ms: number): IsolateError {
    const problem = `importing ${module} was not over after ${formatDuration(ms)}`
    const wayOut = 'Move the task into a file of its own that waits for nothing at its top level.'
    return new IsolateError(`task ${quote(task)} cannot be loaded in a thread: ${problem}. ${wayOut}`)
  }

  /** The thread is gone, and its job was not over. */
  static ofEnd(task: string, because: string, advice: string, cause?: unknown): IsolateError {
    const options = cause === undefined ? undefined : { cause }
    return new IsolateError(`the thread of task ${quote(task)} ${because}. ${advice}.`, options)
  }
}

/** Why a broker cannot be used, or not at present. */
export type BrokerErrorCode =
  | 'store-newer'
  | 'store-foreign'
  | 'evicting'
  | 'away'
  | 'denied'
  | 'full'
  | 'read-only'
  | 'unsupported'

/**
 * A broker cannot keep jobs where it was told to; `code` says why, and a store that is not ours is left untouched.
 *
 * - Why: The store is of somebody else, of a newer version, set to forget, or cannot be reached or written now.
 * - Fix: Do what the message says; what is settled meanwhile is kept and told to the broker again.
 */
export class BrokerError extends RootcatchError<BrokerErrorCode> {
  static {
    identify(this, 'BrokerError', 'broker')
  }

  constructor(code: BrokerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    Object.defineProperty(this, 'code', { value: code })
  }
}

/**
 * A package that users install beside rootcatch is not there; nothing was opened.
 *
 * - Why: Packages that only some users need do not come with rootcatch.
 * - Fix: Run the command at the end of the message.
 */
export class MissingPackageError extends RootcatchError<'missing-package'> {
  static {
    identify(this, 'MissingPackageError', 'missing-package')
  }

  constructor(entry: string, missing: string, install: readonly string[] = [missing], options?: ErrorOptions) {
    const command = `npm install ${install.join(' ')}` // last and without a full stop, so that it can be copied
    super(`${entry} needs the package ${quote(missing)}, which is not installed. Run: ${command}`, options)
  }
}

/**
 * Throw it where trying again is useless: the remaining attempts are skipped, the fallback is asked.
 *
 * - Why: The code of a body knows that trying again is useless, such as after a 404.
 * - Fix: See its text. When the reason is gone, replay the dead letter.
 */
export class PermanentError extends RootcatchError<'permanent'> {
  static {
    identify(this, 'PermanentError', 'permanent')
  }
}

/**
 * Throw it in a spider's handler where going on is useless: the whole spider fails, and its supervisor decides.
 *
 * - Why: A handler found that no further page can be right: signed out, banned, out of quota.
 * - Fix: Remove the reason and run the spider again; with a durable broker it goes on where it was.
 */
export class FatalError extends RootcatchError<'fatal'> {
  static {
    identify(this, 'FatalError', 'fatal')
  }
}

/**
 * Throw it to ask the plugins for a result; if nobody answers it goes on as the job's error, kind `plugin`.
 *
 * - Why: `ctx.pluginError()` was called, and no plugin with the hook `pluginError` gave an answer.
 * - Fix: Put such a plugin into `plugins` of the task, of a supervisor or of `start()`; any value but `undefined`
 *   answers.
 */
export class PluginTriggerError extends RootcatchError<'plugin-trigger'> {
  /** What the job said, frozen; `{}` if nothing, `{ message }` for a text. */
  readonly details: Readonly<Record<string, unknown>>
  static {
    identify(this, 'PluginTriggerError', 'plugin-trigger')
  }

  constructor(details?: string | object, options?: ErrorOptions) {
    const own = copyDetails(details)
    super(typeof own['message'] === 'string' ? own['message'] : 'plugin error', options)
    this.details = own
  }
}

function copyDetails(details: unknown): Readonly<Record<string, unknown>> {
  if (typeof details === 'string') return Object.freeze({ message: details })
  if (typeof details !== 'object' || details === null) return Object.freeze({})
  return guarded(() => Object.freeze({ ...details }), Object.freeze({ message: unreadableText }))
}

function decisionEvidence(given: unknown): string {
  if (peek(given, 'decision') === 'escalate') return 'escalate'
  return typeof peek(given, 'then') === 'function' ? 'a promise' : evidenceOf(given)
}

function suggest(word: string, known: readonly string[], otherwise: string): string {
  const meant = nearest(word, known)
  if (meant !== undefined) return `Did you mean ${quote(meant)}?`
  return known.length === 0 ? `${otherwise} none.` : `${otherwise}: ${list(known)}.`
}

function list(names: readonly string[], { join = ', ', most = 20 } = {}): string {
  if (names.length <= most) return names.join(join)
  return `${names.slice(0, most).join(join)} and ${names.length - most} more`
}

function quote(name: string): string {
  return JSON.stringify(name)
}

function call(method: string, name: string): string {
  return `${method}('${name.replaceAll(/['\\]/g, '\\$&')}')`
}

function ordinal(n: number): string {
  const teen = n % 100 >= 11 && n % 100 <= 13
  return `${n}${teen ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th')}`
}
