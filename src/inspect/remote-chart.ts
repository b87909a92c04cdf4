import type { ChartData, EdgeData, StateData } from '../actors/chart-data.ts'

type Config = Readonly<Record<string, unknown>>

const MOST_STATES = 2_000

/** A chart out of the JSON of a machine's config, as another process sends it; undefined where it is none. */
export function chartOfDefinition(definition: unknown): ChartData | undefined {
  if (typeof definition !== 'string' || definition.length > 512 * 1024) return undefined
  let config: unknown
  try {
    config = JSON.parse(definition)
  } catch {
    return undefined
  }
  if (!isConfig(config) || !isConfig(config['states'])) return undefined
  const reader = new Reader(config)
  return reader.chart
}

class Reader {
  readonly chart: ChartData | undefined
  readonly #ids = new Map<string, string>()
  #left = MOST_STATES

  constructor(config: Config) {
    const id = text(config['id']) ?? 'machine'
    this.#collect(config, '', id)
    const root = this.#state(id, config, '')
    this.chart = this.#left < 0 ? undefined : { id, ...optional('description', text(config['description'])), root }
  }

  #collect(config: Config, path: string, fallback: string): void {
    this.#left -= 1
    if (this.#left < 0) return
    this.#ids.set(text(config['id']) ?? fallback, path)
    for (const [key, below] of entries(config['states'])) {
      if (isConfig(below)) this.#collect(below, path === '' ? key : `${path}.${key}`, `${fallback}.${key}`)
    }
  }

  #state(key: string, config: Config, path: string): StateData {
    if (this.#left < 0) return { key, path, type: 'atomic', edges: [], states: [] }
    const states = entries(config['states']).flatMap(([name, below]) =>
      isConfig(below) ? [this.#state(name, below, path === '' ? name : `${path}.${name}`)] : [],
    )
    const given = text(config['type'])
    const known = ['parallel', 'final', 'history'] as const
    const invokes = listOf(config['invoke']).filter(isConfig)
    const names = invokes.map((invoke, at) => text(invoke['id']) ?? text(invoke['src']) ?? String(at))
    return {
      key,
      path,
      type: known.find((type) => type === given) ?? (states.length > 0 ? 'compound' : 'atomic'),
      ...optional('initial', text(config['initial'])),
      ...optional('description', text(config['description'])),
      ...(names.length > 0 && { invoke: names }),
      edges: [
        ...entries(config['on']).flatMap(([event, each]) => this.#edges(path, event, each)),
        ...invokes.flatMap((invoke, at) => [
          ...this.#edges(path, `xstate.done.actor.${names[at]}`, invoke['onDone']),
          ...this.#edges(path, `xstate.error.actor.${names[at]}`, invoke['onError']),
        ]),
        ...entries(config['after']).flatMap(([delay, each]) => this.#edges(path, `xstate.after.${delay}`, each)),
        ...this.#edges(path, 'xstate.done.state', config['onDone']),
        ...this.#edges(path, '', config['always']),
      ],
      states,
    }
  }

  #edges(path: string, event: string, given: unknown): readonly EdgeData[] {
    return listOf(given).map((each, index) => {
      const config = isConfig(each) ? each : { target: each }
      const guard = nameOf(config['guard'] ?? config['cond'])
      const actions = listOf(config['actions']).map((action) => nameOf(action) ?? '(inline)')
      return {
        id: `${path}|${event}|${index}`,
        event,
        to: listOf(config['target']).flatMap((target) => this.#target(path, target)),
        ...optional('guard', guard),
        ...(actions.length > 0 && { actions }),
        ...optional('description', text(config['description'])),
      }
    })
  }

  /** `#id` and below, `.child` of itself, or a state beside it. */
  #target(path: string, target: unknown): readonly string[] {
    if (typeof target !== 'string') return []
    if (target.startsWith('#')) {
      const whole = target.slice(1)
      const own = this.#ids.get(whole)
      if (own !== undefined) return [own]
      const id = [...this.#ids.keys()].findLast((one) => whole.startsWith(`${one}.`))
      if (id === undefined) return []
      const above = this.#ids.get(id) ?? ''
      return [above === '' ? whole.slice(id.length + 1) : above + whole.slice(id.length)]
    }
    if (target.startsWith('.')) return [path === '' ? target.slice(1) : path + target]
    const above = path.slice(0, Math.max(0, path.lastIndexOf('.')))
    return [above === '' ? target : `${above}.${target}`]
  }
}

const isConfig = (value: unknown): value is Config =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const entries = (value: unknown): readonly (readonly [string, unknown])[] =>
  isConfig(value) ? Object.entries(value) : []
const text = (value: unknown): string | undefined => (typeof value === 'string' ? value.slice(0, 500) : undefined)

function listOf(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return []
  return Array.isArray(value) ? value : [value]
}

function nameOf(value: unknown): string | undefined {
  return text(value) ?? (isConfig(value) ? text(value['type']) : undefined)
}

function optional<Key extends string, Value>(key: Key, value: Value | undefined): { readonly [K in Key]?: Value } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [K in Key]: Value })
}
