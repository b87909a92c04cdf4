const EVENTS = 2_000
const FAILURES = 200
const SAMPLES = 600
const ENDED = 5
const ENDED_FAILED = 50
const RECENT = 5 * 60_000

export const isJob = ({ kind }) => kind === 'job' || kind === 'update' || kind === 'request'

/** All that the page knows, made of frames alone: a recording makes the same. */
export class Store {
  constructor() {
    this.clear()
  }

  clear() {
    this.system = undefined
    this.nodes = new Map()
    this.children = new Map()
    this.charts = new Map()
    this.events = []
    this.failures = []
    this.samples = []
    /** The latest of each node that was looked at, and what it was before. */
    this.details = new Map()
    this.selected = undefined
    this.dropped = { events: 0, nodes: 0 }
    this.seen = 0
    this.at = Date.now()
    /** Counts up with each change of what stands where, so that a view knows when to look again. */
    this.shape = 0
    this.failing = new Map()
  }

  apply(frame) {
    switch (frame.type) {
      case 'hello':
        return this.#hello(frame)
      case 'tick':
        return this.#tick(frame)
      case 'chart':
        return void this.charts.set(frame.hash, frame.chart)
      case 'detail': {
        const { before, detail } = this.details.get(frame.id) ?? {}
        const isChanged = detail !== undefined && changed(detail, frame)
        this.details.set(frame.id, { before: isChanged ? detail : before, detail: frame })
      }
    }
    return undefined
  }

  node(id) {
    return id === undefined ? undefined : this.nodes.get(id)
  }

  /** Events a second; of what is not told of any more there are none. */
  rateOf({ rate, told }) {
    return this.at - told < 3_000 ? rate : 0
  }

  /** Of what is selected. */
  get looked() {
    return this.details.get(this.selected) ?? {}
  }

  atPath(path) {
    for (const node of this.nodes.values()) if (node.path === path && !node.isEnded) return node
    return undefined
  }

  childrenOf(id) {
    return this.children.get(id) ?? []
  }

  /** Those that have failed lately, or are being restarted; with all that stands above them where asked. */
  isFailing(node) {
    if (node.phase === 'restarting' || node.phase === 'failed' || node.status === 'error') return true
    return this.at - (this.failing.get(node.id) ?? -Infinity) < RECENT
  }

  get failingNodes() {
    let total = 0
    for (const node of this.nodes.values()) if (!node.isEnded && this.isFailing(node)) total += 1
    return total
  }

  /** All of it, as a process would tell it to a page that comes now. */
  picture() {
    const { at, system, events, failures, samples: stats } = this
    const nodes = [...this.nodes.values()].filter(({ isEnded }) => !isEnded)
    const charts = Object.fromEntries(this.charts)
    return { type: 'hello', version: 1, at, system, charts, nodes, failures, events, stats }
  }

  #hello(frame) {
    const { selected } = this
    const path = this.node(selected)?.path
    this.clear()
    this.system = frame.system
    this.at = frame.at
    for (const [hash, chart] of Object.entries(frame.charts)) this.charts.set(hash, chart)
    for (const row of frame.nodes) this.#put(row)
    this.#happened(frame.events)
    for (const failure of frame.failures) this.#fail(failure)
    this.samples = [...frame.stats]
    this.shape += 1
    this.selected = path === undefined ? undefined : this.atPath(path)?.id
  }

  #tick(frame) {
    this.at = frame.at
    for (const row of frame.nodes ?? []) this.#put(row)
    for (const id of frame.gone ?? []) this.#gone(id)
    this.#happened(frame.events ?? [])
    for (const failure of frame.failures ?? []) this.#fail(failure)
    if (frame.stats !== undefined) {
      this.samples.push(frame.stats)
      if (this.samples.length > SAMPLES) this.samples.shift()
    }
    if (frame.dropped !== undefined) {
      this.dropped.events += frame.dropped.events
      this.dropped.nodes += frame.dropped.nodes
    }
  }

  #put(row) {
    const known = this.nodes.get(row.id)
    if (known === undefined) {
      this.nodes.set(row.id, { ...row, told: this.at, rate: 0 })
      const siblings = this.children.get(row.parent)
      if (siblings === undefined) this.children.set(row.parent, [row.id])
      else siblings.push(row.id)
      this.shape += 1
      return
    }
    const seconds = Math.max(0.1, (this.at - known.told) / 1_000)
    const rate = Math.max(0, row.events - known.events) / seconds
    // JSON has no undefined: what is absent from the row is no longer so.
    for (const key of ['phase', 'chart', 'waiting', 'jobs', 'attempt']) if (!(key in row)) known[key] = undefined
    Object.assign(known, row, { told: this.at, rate: known.rate * 0.6 + rate * 0.4 })
  }

  /** Of jobs the last few and all that failed stay, where others can see them. */
  #gone(id) {
    const node = this.nodes.get(id)
    if (node === undefined) return
    this.shape += 1
    if (isJob(node)) {
      node.isEnded = true
      const ended = this.childrenOf(node.parent).filter((one) => this.nodes.get(one)?.isEnded)
      const failed = ended.filter((one) => isFailed(this.nodes.get(one)))
      const others = ended.filter((one) => !isFailed(this.nodes.get(one)))
      for (const old of failed.slice(0, -ENDED_FAILED).concat(others.slice(0, -ENDED))) this.#remove(old)
      return
    }
    this.#remove(id)
  }

  #remove(id) {
    const node = this.nodes.get(id)
    if (node === undefined || id === this.selected) return
    for (const child of this.childrenOf(id).toReversed()) this.#remove(child)
    this.nodes.delete(id)
    this.children.delete(id)
    this.failing.delete(id)
    this.details.delete(id)
    const siblings = this.children.get(node.parent)
    const at = siblings?.indexOf(id) ?? -1
    if (at >= 0) siblings.splice(at, 1)
  }

  #happened(events) {
    if (events.length === 0) return
    this.events.push(...events)
    if (this.events.length > EVENTS) this.events.splice(0, this.events.length - EVENTS)
    this.seen += events.length
  }

  #fail(failure) {
    if (this.failures.some(({ number }) => number === failure.number)) return
    this.failures.push(failure)
    if (this.failures.length > FAILURES) this.failures.shift()
    const owner = this.node(failure.to) ?? this.atPath(failure.job?.task ?? failure.path)
    for (let node = owner; node !== undefined; node = this.node(node.parent)) {
      if (node.kind === 'supervisor') break
      this.failing.set(node.id, failure.at)
    }
  }
}

const isFailed = (node) => node?.status === 'error' || node?.state?.[0] === 'failed'

function changed(one, other) {
  return (
    JSON.stringify([one.context, one.output, one.error]) !== JSON.stringify([other.context, other.output, other.error])
  )
}

/** How a node is, in a word, and which colour goes with it. */
export function condition(node) {
  if (node.isEnded || node.status === 'done') {
    const word = node.state.at(-1) ?? 'done'
    return { word, tone: isFailed(node) ? 'bad' : word === 'cancelled' || word === 'stopped' ? 'off' : 'done' }
  }
  if (node.status === 'error' || node.phase === 'failed') return { word: 'failed', tone: 'bad' }
  if (node.phase === 'restarting' || node.state.includes('restarting')) return { word: 'restarting', tone: 'warn' }
  if (node.phase === 'starting' || node.phase === 'stopping') return { word: node.phase, tone: 'warn' }
  if (node.phase === 'stopped' || node.status === 'stopped') return { word: 'stopped', tone: 'off' }
  const word =
    node.state.length > 1
      ? node.state.map((one) => one.split('.').at(-1)).join(', ')
      : (node.state[0] ?? (node.kind === 'spider' ? 'idle' : 'active'))
  if (word === 'retrying' || word === 'paused' || word === 'draining') return { word, tone: 'warn' }
  return { word, tone: word === 'idle' ? 'idle' : 'good' }
}
