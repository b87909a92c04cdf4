import { eventName } from './dom.js'

const LINE = 17
const PAD = 12
const PATIENCE = 3_000
export const MOST_STATES = 300

let worker
let waiting = new Map()
let last = 0

/** A place for each state and edge, found by ELK in a worker; undefined where that takes too long. */
export async function layOut(chart, { width, height }) {
  if (countStates(chart.root) > MOST_STATES) return undefined
  const layouts = []
  for (const direction of ['DOWN', 'RIGHT']) {
    const layout = await ask({ cmd: 'layout', graph: graphOf(chart, direction), layoutOptions: {}, options: {} })
    if (layout === undefined) break
    layouts.push(layout)
  }
  // The one that can be shown larger; down is the way to read, so the other has to be clearly better.
  const scale = ({ width: w, height: t }) => Math.min(1.1, width / w, height / t)
  const [down, right] = layouts
  if (down === undefined || right === undefined) return down
  return scale(right) > scale(down) * 1.15 ? right : down
}

export function countStates(state) {
  return 1 + state.states.reduce((sum, below) => sum + countStates(below), 0)
}

/** The one place where a text becomes code: it is always this one. */
const policy = globalThis.trustedTypes?.createPolicy('rootcatch', {
  createScriptURL: (url) => {
    if (url !== '/vendor/elk-worker.js') throw new TypeError('Only the layout runs in a worker.')
    return url
  },
})

function begin() {
  const url = '/vendor/elk-worker.js'
  worker = new Worker(policy === undefined ? url : policy.createScriptURL(url))
  worker.addEventListener('message', ({ data }) => {
    waiting.get(data.id)?.(data.error === undefined ? data.data : undefined)
    waiting.delete(data.id)
  })
  worker.addEventListener('error', () => end())
  void ask({ cmd: 'register', algorithms: ['layered'] })
}

function end() {
  worker?.terminate()
  worker = undefined
  for (const give of waiting.values()) give(undefined)
  waiting = new Map()
}

function ask(message) {
  if (worker === undefined) {
    worker = null
    begin()
  }
  last += 1
  const id = last
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      waiting.delete(id)
      resolve(undefined)
      end() // it is stuck: the next chart gets a new one
    }, PATIENCE)
    waiting.set(id, (value) => {
      clearTimeout(timer)
      resolve(value)
    })
    worker.postMessage({ id, ...message })
  })
}

const canvas = document.createElement('canvas').getContext('2d')

function widthOf(text, font) {
  canvas.font = font
  return Math.ceil(canvas.measureText(text).width)
}

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif'
export const nameFont = `600 13px ${FONT}`
export const lineFont = `12px ${FONT}`

function graphOf({ root }, direction) {
  const edges = []
  const node = (state) => {
    const lines = linesOf(state)
    const texts = [
      widthOf(nameOf(state), nameFont) + (state.type === 'history' ? 0 : 8),
      ...lines.map(({ text }) => widthOf(text, lineFont)),
    ]
    const width = Math.max(56, Math.max(...texts) + 2 * PAD)
    const height = 2 * PAD + 16 + lines.length * LINE - (lines.length > 0 ? 0 : 4)
    const merged = new Map()
    for (const edge of state.edges) {
      for (const to of edge.to) {
        const key = to
        const known = merged.get(key)
        if (known === undefined) merged.set(key, [edge])
        else known.push(edge)
      }
    }
    for (const [to, list] of merged) {
      const labels = list.map(labelOf)
      edges.push({
        id: `e${edges.length}`,
        sources: [idOf(state.path)],
        targets: [idOf(to)],
        own: list,
        labels: [
          {
            text: labels.join('\n'),
            layoutOptions: { 'elk.edgeLabels.inline': 'true' },
            width: Math.max(...labels.map((label) => widthOf(label, lineFont))) + 10,
            height: labels.length * LINE + 4,
          },
        ],
      })
    }
    const children = state.states.map(node)
    const own = { id: idOf(state.path), state, lines }
    if (children.length === 0) {
      if (state.type === 'history') return { ...own, width: 30, height: 30 }
      return { ...own, width, height }
    }
    const initial = state.type === 'compound' ? state.states.find(({ key }) => key === state.initial) : undefined
    if (initial !== undefined) {
      children.unshift({ id: `${idOf(state.path)}/initial`, width: 12, height: 12, isInitial: true })
      edges.push({
        id: `i${edges.length}`,
        sources: [`${idOf(state.path)}/initial`],
        targets: [idOf(initial.path)],
        own: [],
        labels: [],
      })
    }
    const head = PAD + 18 + lines.length * LINE
    return {
      ...own,
      children,
      layoutOptions: {
        'elk.padding': `[top=${head + 14},left=18,bottom=18,right=18]`,
        'elk.nodeSize.constraints': 'MINIMUM_SIZE',
        'elk.nodeSize.minimum': `(${width}, ${height})`,
      },
    }
  }
  const top = node(root)
  return {
    id: 'chart',
    layoutOptions: {
      'elk.algorithm': 'layered',
      'elk.direction': direction,
      'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
      'elk.json.shapeCoords': 'ROOT',
      'elk.json.edgeCoords': 'ROOT',
      'elk.edgeRouting': 'ORTHOGONAL',
      'elk.layered.considerModelOrder.strategy': 'NODES_AND_EDGES',
      'elk.layered.cycleBreaking.strategy': 'MODEL_ORDER',
      'elk.layered.spacing.nodeNodeBetweenLayers': '34',
      'elk.spacing.nodeNode': '28',
      'elk.spacing.edgeNode': '18',
      'elk.spacing.edgeEdge': '14',
      'elk.spacing.edgeLabel': '4',
    },
    children: [top],
    edges,
  }
}

export const idOf = (path) => (path === '' ? 'root' : `s:${path}`)

/** A long name would make all of the chart small: it is read whole where the pointer rests. */
export function nameOf({ key }) {
  return key.length > 40 ? `${key.slice(0, 39)}…` : key
}

/** What stands in the box of a state. */
export function linesOf(state) {
  return [
    ...(state.invoke ?? []).map((name) => ({ text: `invoke ${name}`, edge: undefined })),
    ...(state.entry ?? []).map((name) => ({ text: `entry / ${plainName(name)}`, edge: undefined })),
    ...(state.exit ?? []).map((name) => ({ text: `exit / ${plainName(name)}`, edge: undefined })),
    ...state.edges.filter(({ to }) => to.length === 0).map((edge) => ({ text: labelOf(edge), edge: edge.id })),
  ]
}

export function labelOf({ event, guard, actions }) {
  const name = eventName(event)
  const condition = guard === undefined ? '' : ` [${guard}]`
  const does = actions === undefined ? '' : ` / ${actions.map(plainName).join(', ')}`
  return `${name}${condition}${does.length > 28 ? `${does.slice(0, 27)}…` : does}`
}

const plainName = (action) => action.replace(/^xstate\./, '')
