import { AsyncLocalStorage } from 'node:async_hooks'
import {
  context,
  metrics,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type ContextManager,
  type Counter,
  type Exception,
  type Meter,
  type MeterProvider,
  type Span,
  type SpanContext,
  type SpanOptions,
  type Tracer,
} from '@opentelemetry/api'

/** A span that was ended, as a test looks at it. */
export interface SeenSpan {
  readonly name: string
  readonly kind: string
  readonly id: string
  readonly traceId: string
  readonly parent: string | undefined
  readonly links: readonly string[]
  readonly attributes: Attributes
  readonly events: readonly string[]
  readonly exceptions: readonly Exception[]
  readonly status: string
}

export interface Telemetry {
  readonly spans: readonly SeenSpan[]
  /** Began, and have not ended. */
  readonly open: number
  /** Sums of counters, and how often a histogram was told something, by name and the attributes given. */
  sum(name: string, of?: Attributes): number
  readonly units: ReadonlyMap<string, string | undefined>
  reset(): void
}

/** Registers a small implementation of OpenTelemetry's own interfaces with its API: the SDK is not needed to see calls. */
export function recordTelemetry(): Telemetry {
  const spans: SeenSpan[] = []
  const measured: { readonly name: string; readonly value: number; readonly attributes: Attributes }[] = []
  const units = new Map<string, string | undefined>()
  let lastId = 0
  let open = 0

  const startSpan = (name: string, options: SpanOptions = {}, parentContext: Context = context.active()): Span => {
    const parent = options.root === true ? undefined : trace.getSpanContext(parentContext)
    const id = String((lastId += 1)).padStart(16, '0')
    const traceId = parent?.traceId ?? id.padStart(32, '0')
    const seen = {
      name,
      kind: SpanKind[options.kind ?? SpanKind.INTERNAL] as string,
      id,
      traceId,
      parent: parent?.spanId,
      links: (options.links ?? []).map((link) => link.context.spanId),
      attributes: { ...options.attributes },
      events: [] as string[],
      exceptions: [] as Exception[],
      status: 'UNSET',
    }
    let isOver = false
    open += 1
    const write = (change: () => unknown): Span => {
      if (isOver) throw new Error(`span ${name} was written to after its end`)
      change()
      return span
    }
    const spanContext: SpanContext = { traceId, spanId: id, traceFlags: 1 }
    const span: Span = {
      spanContext: () => spanContext,
      setAttribute: (key, value) => write(() => (seen.attributes[key] = value)),
      setAttributes: (attributes) => write(() => Object.assign(seen.attributes, attributes)),
      addEvent: (event) => write(() => seen.events.push(event)),
      addLink: (link) => write(() => seen.links.push(link.context.spanId)),
      addLinks: (links) => write(() => seen.links.push(...links.map((link) => link.context.spanId))),
      setStatus: ({ code }) => write(() => (seen.status = SpanStatusCode[code] as string)),
      updateName: () => span,
      isRecording: () => !isOver,
      recordException: (exception) => void write(() => seen.exceptions.push(exception)),
      end: () => {
        write(() => spans.push(seen))
        isOver = true
        open -= 1
      },
    }
    return span
  }
  const tracer: Tracer = {
    startSpan,
    startActiveSpan: (name: string, ...rest: readonly unknown[]) => {
      const span = startSpan(name)
      return context.with(trace.setSpan(context.active(), span), rest.at(-1) as (span: Span) => never, undefined, span)
    },
  }
  const instrument = (name: string, options?: { readonly unit?: string }): Counter => {
    units.set(name, options?.unit)
    return { add: (value, attributes = {}) => void measured.push({ name, value, attributes }) }
  }
  const meter = {
    createCounter: instrument,
    createUpDownCounter: instrument,
    createHistogram: (name: string, options?: { readonly unit?: string }) => {
      const { add } = instrument(name, options)
      return { record: (_: number, attributes?: Attributes) => add(1, attributes) }
    },
  } as unknown as Meter
  const provider: MeterProvider = { getMeter: () => meter }

  for (const api of [trace, metrics, context]) api.disable()
  trace.setGlobalTracerProvider({ getTracer: () => tracer })
  metrics.setGlobalMeterProvider(provider)
  context.setGlobalContextManager(new StoredContexts())

  return {
    spans,
    get open() {
      return open
    },
    units,
    sum: (name, of = {}) => {
      const fits = ({ attributes }: { attributes: Attributes }): boolean =>
        Object.entries(of).every(([key, value]) => attributes[key] === value)
      return measured.filter((one) => one.name === name && fits(one)).reduce((sum, { value }) => sum + value, 0)
    },
    reset: () => {
      for (const api of [trace, metrics, context]) api.disable()
    },
  }
}

/** What OpenTelemetry's own manager for Node does. */
class StoredContexts implements ContextManager {
  readonly #stored = new AsyncLocalStorage<Context>()

  active(): Context {
    return this.#stored.getStore() ?? ROOT_CONTEXT
  }

  with<Args extends unknown[], Fn extends (...args: Args) => ReturnType<Fn>>(
    active: Context,
    call: Fn,
    thisArg?: ThisParameterType<Fn>,
    ...args: Args
  ): ReturnType<Fn> {
    return this.#stored.run(active, () => call.call(thisArg as ThisParameterType<Fn>, ...args))
  }

  bind<Target>(_: Context, target: Target): Target {
    return target
  }

  enable(): this {
    return this
  }

  disable(): this {
    this.#stored.disable()
    return this
  }
}
