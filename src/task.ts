import type { StandardSchemaV1 } from '@standard-schema/spec'
import { CHILD_OPTIONS, readChildPolicy, type ChildOptions, type ChildPolicy } from './child.ts'
import type { TaskContext } from './task-context.ts'
import { definitionBrand } from './definition.ts'
import type { Duration } from './duration.ts'
import { InvalidOptionError } from './errors.ts'
import type { Failure } from './failure.ts'
import { readIsolate, type IsolateOptions, type IsolatePolicy } from './isolate.ts'
import { checkKeys, readDuration, readFunction, readName, readWholeNumber } from './options.ts'
import { HOOK_TIMEOUT, readPlugins, type Plugin } from './plugin.ts'
import { readRetry, type RetryOptions, type RetryPolicy } from './retry.ts'
import type { Dedupe } from './run-options.ts'
import { readSchedule, SCHEDULE_OPTIONS, type Schedule, type ScheduleOptions } from './schedule.ts'

/** A value, or a function of the job's input. */
export type FromInput<Input, Value> = Value | ((input: Input) => Value)

export interface TaskOptions<Input, Fallback = never>
  extends Omit<ChildOptions, 'ready' | 'startTimeout'>, ScheduleOptions {
  /** How often, how long apart, and for which errors the body is tried again. @default { attempts: 1 } */
  readonly retry?: RetryOptions
  /** How long one attempt may take. @default none */
  readonly timeout?: Duration
  /** How long one plugin may take to answer. @default '10s' */
  readonly hookTimeout?: Duration
  /** Gives a value when all attempts are spent; its throw fails the job. */
  readonly fallback?: (input: Input, failure: Failure) => Fallback | PromiseLike<Fallback>
  /** Attempts running at once in this process. @default 10; with `isolate` one less than there are cores, at least 1 */
  readonly concurrency?: number
  /** Attempts begun in this process: no more than `limit` within any `within`. @default no limit */
  readonly rate?: { readonly limit: number; readonly within: Duration }
  /**
   * Calls the body in a worker thread, so that it cannot hold up anything else; as many threads as `concurrency`. The
   * module that defines the task has to export it and must not start a system. Needs the package piscina. @default false
   */
  readonly isolate?: boolean | IsolateOptions
  /** Smaller first; a whole number from -1 000 000 to 1 000 000. @default 0 */
  readonly priority?: FromInput<Input, number>
  /** @default 0 */
  readonly delay?: FromInput<Input, Duration>
  /** Jobs of one lane run one at a time, in the order they came; undefined: no lane. */
  readonly lane?: FromInput<Input, string | undefined>
  /** While a job of this key is unfinished, another one is not queued but follows it; undefined: no key. */
  readonly dedupe?: FromInput<Input, Dedupe | undefined>
  /** Bytes of JSON that input and result may have, each. @default 262144 */
  readonly maxPayload?: number
  readonly plugins?: readonly Plugin[]
  readonly description?: string
  readonly tags?: readonly string[]
}

/** The jobs of a schedule have no input, so that a task that needs one has no schedule. */
type Unscheduled<Input> = [Input] extends [never] // what is inferred for a task that is given on at once
  ? unknown
  : undefined extends Input
    ? unknown
    : { readonly every?: undefined; readonly cron?: undefined }

/** What the body of a task may give: a value, a promise of one, or a generator that yields progress and returns one. */
export type BodyResult = unknown

/** The value that a body gives in the end. */
export type ValueOf<Result> =
  Result extends AsyncGenerator<unknown, infer Value, never>
    ? Awaited<Value>
    : Result extends Generator<unknown, infer Value, never>
      ? Awaited<Value>
      : Awaited<Result>

/** The progress that a body yields. */
export type ProgressOf<Result> =
  Result extends AsyncGenerator<infer Progress, unknown, never>
    ? Progress
    : Result extends Generator<infer Progress, unknown, never>
      ? Progress
      : unknown

/** A named function with a policy: what makes jobs. */
export interface Task<Input = never, Output = unknown, Progress = unknown, Name extends string = string> {
  readonly [definitionBrand]: 'task'
  readonly kind: 'task'
  readonly name: Name
  readonly body: (input: Input, ctx: TaskContext) => unknown
  readonly schema: StandardSchemaV1 | undefined
  readonly retry: RetryPolicy
  readonly timeout: number | undefined
  readonly hookTimeout: number
  readonly fallback: ((input: Input, failure: Failure) => unknown) | undefined
  readonly concurrency: number
  readonly rate: { readonly limit: number; readonly within: number } | undefined
  readonly isolate: IsolatePolicy | undefined
  readonly priority: FromInput<Input, number>
  readonly delay: FromInput<Input, Duration>
  readonly lane: FromInput<Input, string | undefined>
  readonly dedupe: FromInput<Input, Dedupe | undefined>
  readonly maxPayload: number
  readonly schedule: Schedule | undefined
  readonly plugins: readonly Plugin[]
  readonly description: string | undefined
  readonly tags: readonly string[]
  readonly child: ChildPolicy
  /** Types only; never set. */
  readonly '~types'?: { readonly output: Output; readonly progress: Progress }
}

export type AnyTask = Task

const OPTIONS = [
  'input',
  'retry',
  'timeout',
  'hookTimeout',
  'fallback',
  'concurrency',
  'rate',
  'isolate',
  'priority',
  'delay',
  'lane',
  'dedupe',
  'maxPayload',
  'plugins',
  'description',
  'tags',
  ...SCHEDULE_OPTIONS,
  ...CHILD_OPTIONS.filter((key) => key !== 'ready' && key !== 'startTimeout'),
]

const DEFAULT_SHUTDOWN = 5_000
export const MAX_PRIORITY = 1_000_000

/**
 * Defines a task. Under a supervisor, or given to `start`, it works the jobs that `system.run(task, input)` asks for.
 *
 * With `input`, a Standard Schema, inputs are checked when they are given and again when they are taken; without it
 * they are what the body says. Annotate the input where an option such as `fallback` or `lane` takes it.
 *
 * With `every` or `cron` it makes jobs by itself as well, one for each tick over all processes that share a broker.
 * Those have no input.
 *
 * @example
 * const greet = task('greet', { retry: { attempts: 3 } }, async (name: string) => `Hello ${name}`)
 */
export function task<const Name extends string, Result, Input = unknown>(
  name: Name,
  body: (input: Input, ctx: TaskContext) => Result,
): Task<Input, ValueOf<Result>, ProgressOf<Result>, Name>
export function task<const Name extends string, Schema extends StandardSchemaV1, Result, Fallback = never>(
  name: Name,
  options: TaskOptions<StandardSchemaV1.InferOutput<Schema>, Fallback> & { readonly input: Schema } & Unscheduled<
      StandardSchemaV1.InferInput<Schema>
    >,
  body: (input: StandardSchemaV1.InferOutput<Schema>, ctx: TaskContext) => Result,
): Task<StandardSchemaV1.InferInput<Schema>, ValueOf<Result> | Awaited<Fallback>, ProgressOf<Result>, Name>
export function task<const Name extends string, Result, OptionInput, Input extends OptionInput, Fallback = never>(
  name: Name,
  options: TaskOptions<OptionInput, Fallback> & { readonly input?: undefined } & Unscheduled<Input>,
  body: (input: Input, ctx: TaskContext) => Result,
): Task<Input, ValueOf<Result> | Awaited<Fallback>, ProgressOf<Result>, Name>
export function task(name: string, ...rest: readonly unknown[]): AnyTask {
  const [options, body] = (rest.length < 2 ? [{}, rest[0]] : rest) as [TaskOptions<never, unknown>, unknown]
  readName('task', name)
  const subject = `task "${name}"`
  checkKeys(subject, options, OPTIONS)
  if (typeof body !== 'function') {
    throw new InvalidOptionError(subject, 'body', body, 'Pass the function that does the work as the last argument.')
  }
  const isolate = readIsolate(subject, options.isolate)
  return Object.freeze({
    [definitionBrand]: 'task' as const,
    kind: 'task' as const,
    name,
    body: body as AnyTask['body'],
    schema: readSchema(subject, (options as { input?: unknown }).input),
    retry: readRetry(subject, options.retry),
    timeout: readDuration(subject, 'timeout', options.timeout, { positive: true }),
    hookTimeout: readDuration(subject, 'hookTimeout', options.hookTimeout, { positive: true }) ?? HOOK_TIMEOUT,
    fallback: readFunction(subject, 'fallback', options.fallback),
    concurrency: readWholeNumber(subject, 'concurrency', options.concurrency, { min: 1 }) ?? defaultSlots(isolate),
    rate: readRate(subject, options.rate),
    isolate,
    priority: readPriority(subject, options.priority),
    delay: typeof options.delay === 'function' ? options.delay : (readDuration(subject, 'delay', options.delay) ?? 0),
    lane: readKey(subject, 'lane', options.lane),
    dedupe: readDedupe(subject, options.dedupe),
    maxPayload: readWholeNumber(subject, 'maxPayload', options.maxPayload, { min: 1 }) ?? 256 * 1024,
    schedule: readSchedule(subject, options),
    plugins: readPlugins(subject, options.plugins),
    description: readText(subject, 'description', options.description),
    tags: readTags(subject, options.tags),
    child: readChildPolicy(subject, options, { startTimeout: Infinity, shutdown: DEFAULT_SHUTDOWN }),
  })
}

/** Threads work: more of them than cores would only take turns, and one core is the main thread's. */
function defaultSlots(isolate: IsolatePolicy | undefined): number {
  return isolate === undefined ? 10 : Math.max(1, process.getBuiltinModule('node:os').availableParallelism() - 1)
}

/** Reads a priority: a whole number within the bounds every broker keeps. */
export function readPriority(subject: string, value: unknown): FromInput<never, number> {
  if (typeof value === 'function') return value as (input: never) => number
  return readWholeNumber(subject, 'priority', value, { min: -MAX_PRIORITY, max: MAX_PRIORITY }) ?? 0
}

/** Reads a key to deduplicate by. */
export function readDedupe(subject: string, value: unknown): FromInput<never, Dedupe | undefined> {
  if (typeof value === 'object' && value !== null) {
    checkKeys(`dedupe of ${subject}`, value, ['key', 'for'])
    const { key, for: duration } = value as { key: unknown; for: unknown }
    if (typeof key !== 'string') throw new InvalidOptionError(subject, 'dedupe.key', key, 'Give a text.')
    return { key: key as string, for: readDuration(subject, 'dedupe.for', duration, { positive: true }) as number }
  }
  return readKey(subject, 'dedupe', value)
}

/** Reads the name of a lane or a key: a text. */
export function readKey<Value>(
  subject: string,
  option: string,
  value: Value,
): Value & FromInput<never, string | undefined> {
  if (value === undefined || typeof value === 'string' || typeof value === 'function') {
    return value as Value & FromInput<never, string | undefined>
  }
  throw new InvalidOptionError(subject, option, value, 'Give a text, or a function of the input that gives one.')
}

function readRate(subject: string, value: unknown): AnyTask['rate'] {
  if (value === undefined) return undefined
  if (typeof value !== 'object' || value === null) {
    throw new InvalidOptionError(subject, 'rate', value, `Write { limit: 10, within: '1s' }.`)
  }
  checkKeys(`rate of ${subject}`, value, ['limit', 'within'])
  const { limit, within } = value as { limit: unknown; within: unknown }
  if (limit === undefined || within === undefined) {
    throw new InvalidOptionError(subject, 'rate', value, `Give both: { limit: 10, within: '1s' }.`)
  }
  return Object.freeze({
    limit: readWholeNumber(subject, 'rate.limit', limit, { min: 1 }) as number,
    within: readDuration(subject, 'rate.within', within, { positive: true }) as number,
  })
}

function readText(subject: string, option: string, value: unknown): string | undefined {
  if (value === undefined || typeof value === 'string') return value
  throw new InvalidOptionError(subject, option, value, 'Give a text.')
}

function readTags(subject: string, value: unknown): readonly string[] {
  if (value !== undefined && !(Array.isArray(value) && value.every((tag) => typeof tag === 'string'))) {
    throw new InvalidOptionError(subject, 'tags', value, `Give a list of texts: ['images', 'slow'].`)
  }
  return Object.freeze([...((value as readonly string[] | undefined) ?? [])])
}

function readSchema(subject: string, value: unknown): StandardSchemaV1 | undefined {
  if (value === undefined) return undefined
  const standard = (value as { '~standard'?: { validate?: unknown } } | null)?.['~standard']
  if (typeof standard?.validate === 'function') return value as StandardSchemaV1
  throw new InvalidOptionError(
    subject,
    'input',
    value,
    'Pass a Standard Schema, as zod, valibot and arktype make them.',
  )
}
