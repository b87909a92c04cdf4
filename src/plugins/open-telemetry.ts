import type * as Api from '@opentelemetry/api'
import { thrownJson } from '../causes.ts'
import {
  CancelledError,
  LeaseLostError,
  MissingPackageError,
  PluginTriggerError,
  SystemStoppedError,
} from '../errors.ts'
import { peek } from '../evidence.ts'
import { checkKeys, readFunction, readOneOf } from '../options.ts'
import { plugin, type AroundEvent, type JobHookEvent, type Plugin, type SettledEvent } from '../plugin.ts'
import { redact } from '../secrets.ts'
import { describeThrown, nameOf } from '../thrown.ts'
import { PerJob } from './per-job.ts'

export interface OpenTelemetryOptions {
  /**
   * What the span of an attempt is to the span that was active at `system.run`: linked to it in a trace of its own, or
   * its child. It is known for jobs that were asked for in this process.
   *
   * @default 'link'
   */
  readonly caller?: 'link' | 'parent'
  /** Takes secrets out of messages and stacks. @default hides common forms of passwords, tokens and keys */
  readonly redact?: (text: string) => string
}

const subject = 'openTelemetry()'
const PACKAGE = '@opentelemetry/api'

/**
 * Traces and metrics of jobs, through the providers that are registered with `@opentelemetry/api`. Each attempt is a
 * span `process <path of the task>`; what the body does is inside of it. Names are those of the messaging conventions.
 *
 * @example
 * const system = await start(root, { plugins: [openTelemetry()] })
 */
export function openTelemetry(options: OpenTelemetryOptions = {}): Plugin {
  checkKeys(subject, options, ['caller', 'redact'])
  const caller = readOneOf(subject, 'caller', options.caller, ['link', 'parent']) ?? 'link'
  const hide = readFunction(subject, 'redact', options.redact) ?? redact
  const callers = new PerJob<Api.SpanContext>()
  let live: Live | undefined

  const settled = (event: SettledEvent): void => {
    callers.take(event)
    live?.outcomes.add(1, { ...queueOf(event), 'rootcatch.job.outcome': event.status })
  }

  return plugin('open-telemetry', {
    setup: async () => {
      live ??= makeInstruments(await importApi())
    },
    enqueue: (event) => {
      const active = live?.api.trace.getActiveSpan()
      if (active !== undefined) callers.set(event, active.spanContext())
    },
    around: (event) => {
      if (live === undefined) return event.next()
      return measure(live, event, { asked: callers.get(event), caller, hide })
    },
    retrying: (event) => live?.retries.add(1, queueOf(event)),
    done: settled,
    fallback: settled,
    failed: settled,
    cancelled: settled,
  })
}

/** The API and what is made by it, once it is loaded. */
interface Live {
  readonly api: typeof Api
  readonly tracer: Api.Tracer
  readonly attempts: Api.Counter
  readonly outcomes: Api.Counter
  readonly retries: Api.Counter
  readonly running: Api.UpDownCounter
  readonly durations: Api.Histogram
}

async function importApi(): Promise<typeof Api> {
  try {
    const name: string = PACKAGE // an optional peer: neither compiler nor bundler may look for it
    return (await import(name)) as typeof Api
  } catch (error) {
    if (peek(error, 'code') !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new MissingPackageError(subject, PACKAGE, undefined, { cause: error })
  }
}

function makeInstruments(api: typeof Api): Live {
  const meter = api.metrics.getMeter('rootcatch')
  return {
    api,
    tracer: api.trace.getTracer('rootcatch'),
    attempts: meter.createCounter('rootcatch.job.attempts', { unit: '{attempt}', description: 'Attempts that began.' }),
    outcomes: meter.createCounter('rootcatch.job.outcomes', {
      unit: '{job}',
      description: 'Jobs that are over, by outcome.',
    }),
    retries: meter.createCounter('rootcatch.job.retries', {
      unit: '{attempt}',
      description: 'Attempts that are followed by another.',
    }),
    running: meter.createUpDownCounter('rootcatch.job.running', {
      unit: '{attempt}',
      description: 'Attempts that run.',
    }),
    durations: meter.createHistogram('messaging.process.duration', {
      unit: 's',
      description: 'Duration of an attempt.',
      advice: { explicitBucketBoundaries: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] },
    }),
  }
}

/** What all measurements of a queue carry: few values each, for each combination is a series of its own. */
function queueOf({ task }: JobHookEvent): Api.Attributes {
  return {
    'messaging.system': 'rootcatch',
    'messaging.destination.name': task.path,
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
  }
}

interface Tracing {
  /** The span that was active when the job was asked for. */
  readonly asked: Api.SpanContext | undefined
  readonly caller: 'link' | 'parent'
  readonly hide: (text: string) => string
}

/** Runs the body in a span, and ends that with the attempt: with the body, or when its signal aborts before. */
async function measure(live: Live, event: AroundEvent, tracing: Tracing): Promise<unknown> {
  const { next, signal } = event
  const span = startSpan(live, event, tracing)
  const queue = queueOf(event)
  const began = performance.now()
  live.attempts.add(1, queue)
  live.running.add(1, queue)

  let isOver = false
  const end = (thrown?: { readonly error: unknown }): void => {
    if (isOver) return
    isOver = true
    signal.removeEventListener('abort', onAbort)
    const type = thrown === undefined ? undefined : recordEnd(live, span, thrown.error, tracing.hide)
    live.running.add(-1, queue)
    live.durations.record(
      (performance.now() - began) / 1000,
      type === undefined ? queue : { ...queue, 'error.type': type },
    )
    span.end()
  }
  const onAbort = (): void => end({ error: signal.reason })
  signal.addEventListener('abort', onAbort)
  try {
    // Not the active context: a worker inherits that of whoever woke it last.
    const value = await live.api.context.with(live.api.trace.setSpan(live.api.ROOT_CONTEXT, span), next)
    end()
    return value
  } catch (error) {
    end({ error })
    throw error
  }
}

function startSpan({ api, tracer }: Live, event: AroundEvent, { asked, caller }: Tracing): Api.Span {
  const { run, task, attempt, broker } = event
  const isChild = asked !== undefined && caller === 'parent'
  return tracer.startSpan(
    `process ${task.path}`,
    {
      kind: api.SpanKind.CONSUMER,
      links: asked !== undefined && caller === 'link' ? [{ context: asked }] : [],
      attributes: {
        ...queueOf(event),
        'messaging.message.id': run.id,
        'rootcatch.job.path': run.path,
        'rootcatch.job.attempt': attempt,
        'rootcatch.broker': broker.name,
      },
    },
    isChild ? api.trace.setSpanContext(api.ROOT_CONTEXT, asked) : api.ROOT_CONTEXT,
  )
}

/** Writes down how an attempt ended that gave no value; gives the type of the error, if it was one. */
function recordEnd({ api }: Live, span: Api.Span, error: unknown, hide: (text: string) => string): string | undefined {
  if (error instanceof PluginTriggerError) {
    span.addEvent('rootcatch.plugin_error') // a plugin may answer it
    return undefined
  }
  const gaveUp = whoGaveUp(error)
  if (gaveUp !== undefined) {
    span.setAttribute('rootcatch.attempt.end', gaveUp)
    return undefined
  }
  const type = nameOf(error) ?? typeof error
  const thrown = thrownJson(error)
  span.recordException(
    'thrown' in thrown
      ? hide(thrown.thrown)
      : {
          name: type,
          message: hide(thrown.message),
          ...(thrown.stack === undefined ? {} : { stack: hide(thrown.stack) }),
        },
  )
  span.setAttribute('error.type', type)
  span.setStatus({ code: api.SpanStatusCode.ERROR, message: hide(describeThrown(error)) })
  return type
}

/** For what reason it was given up, where that is no error. */
function whoGaveUp(error: unknown): 'cancelled' | 'stopped' | 'lost' | undefined {
  if (error instanceof CancelledError) return 'cancelled'
  if (error instanceof SystemStoppedError) return 'stopped'
  return error instanceof LeaseLostError ? 'lost' : undefined
}
