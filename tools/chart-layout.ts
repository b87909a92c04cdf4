import Elk, { type ElkExtendedEdge, type ElkNode, type ElkShape } from 'elkjs/lib/elk.bundled.js'
import type { Chart, ChartState, ChartTransition } from './chart.ts'

export type Point = { readonly x: number; readonly y: number }
export type Area = Point & { readonly width: number; readonly height: number }

export type Box = Area & { readonly state: ChartState; readonly lines: readonly string[] }
export type Label = Area & { readonly lines: readonly string[] }

/** All transitions from one state to another share an arrow. */
type Ends = { readonly from: string; readonly to: string; readonly transitions: readonly ChartTransition[] }

export type Arrow = Ends & { readonly points: readonly Point[]; readonly label: Label }

/** Where everything in the picture of a chart stands, in pixels. */
export type Layout = {
  readonly width: number
  readonly height: number
  /** The box that the chart begins in. Above it is room for the arrow of the start. */
  readonly initial: Box | undefined
  readonly boxes: readonly Box[]
  readonly arrows: readonly Arrow[]
}

/** What the layout and the drawing have to agree on, in pixels. */
export const sizes = { name: 15, line: 13, lineHeight: 18, padding: 13, start: 38, margin: 24 }

/**
 * ELK makes boxes so wide that most arrows run straight, and lets the outermost ones end in the corners. It also keeps
 * labels as far apart as boxes. So it is given both narrower than they are drawn, by this much on each side.
 */
const overhang = { box: 16, label: 6 }

const margin = { top: sizes.margin + sizes.start, side: sizes.margin + overhang.box, bottom: sizes.margin }

const options = {
  'elk.algorithm': 'layered',
  'elk.direction': 'DOWN',
  'elk.padding': `[top=${margin.top},left=${margin.side},bottom=${margin.bottom},right=${margin.side}]`,
  'elk.spacing.nodeNode': `${2 * overhang.box + 16}`,
  'elk.spacing.edgeNode': `${overhang.box + 10}`,
  'elk.spacing.edgeEdge': '14',
  'elk.spacing.portPort': '18',
  'elk.layered.spacing.nodeNodeBetweenLayers': '26',
  'elk.layered.spacing.edgeNodeBetweenLayers': '14',
  'elk.layered.spacing.edgeEdgeBetweenLayers': '12',
  'elk.layered.considerModelOrder.strategy': 'NODES_AND_EDGES',
  'elk.layered.cycleBreaking.strategy': 'MODEL_ORDER',
  'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
  'elk.layered.nodePlacement.networkSimplex.nodeFlexibility.default': 'NODE_SIZE',
  'elk.layered.edgeLabels.centerLabelPlacementStrategy': 'TAIL_LAYER',
  'elk.layered.thoroughness': '30', // with fewer tries the arrows of the job cross more often
}

/** Lays a chart out from top to bottom, final states in the last row, each label on its arrow near where it begins. */
export async function layOut(chart: Chart): Promise<Layout> {
  const ends = endsOf(chart)
  const graph: ElkNode = await new Elk.default().layout({
    id: chart.name,
    layoutOptions: options,
    children: chart.states.map((state) => toNode(chart, state)),
    edges: ends.map(toEdge),
  })
  const boxes = chart.states.map((state, index) => ({
    ...areaOf(graph.children?.[index], overhang.box),
    state,
    lines: linesIn(chart, state),
  }))
  const arrows = ends.map((both, index) => {
    const edge = graph.edges?.[index]
    const label = { ...areaOf(edge?.labels?.[0], overhang.label), lines: linesOn(both.transitions) }
    return { ...both, points: pointsOf(edge), label }
  })
  const initial = boxes.find(({ state }) => state.name === chart.initial)
  return { width: Math.ceil(graph.width ?? 0), height: Math.ceil(graph.height ?? 0), initial, boxes, arrows }
}

function endsOf({ transitions }: Chart): Ends[] {
  const leaving = transitions.filter(({ from, to }) => from !== to)
  return [...Map.groupBy(leaving, ({ from }) => from)].flatMap(([from, alternatives]) =>
    [...Map.groupBy(alternatives, ({ to }) => to)].map(([to, same]) => ({ from, to, transitions: same })),
  )
}

function toNode(chart: Chart, state: ChartState): ElkNode {
  const lines = linesIn(chart, state)
  const bold = 1.1
  const width = Math.max(widthOf(state.name, sizes.name) * bold, ...lines.map((line) => widthOf(line, sizes.line)))
  const row = state.isFinal ? 'LAST' : state.name === chart.initial ? 'FIRST' : 'NONE'
  return {
    id: state.name,
    width: Math.ceil(width) + 2 * sizes.padding - 2 * overhang.box,
    height: sizes.lineHeight * (1 + lines.length) + 2 * sizes.padding,
    layoutOptions: { 'elk.layered.layering.layerConstraint': row },
  }
}

function toEdge({ from, to, transitions }: Ends): ElkExtendedEdge {
  const lines = linesOn(transitions)
  const label = {
    text: lines.join('\n'), // ELK leaves out a label without text
    width: Math.ceil(Math.max(...lines.map((line) => widthOf(line, sizes.line)))) + 6 - 2 * overhang.label,
    height: sizes.lineHeight * lines.length + 4,
    layoutOptions: { 'elk.edgeLabels.inline': 'true' },
  }
  return { id: `${from} to ${to}`, sources: [from], targets: [to], labels: [label] }
}

/** What stands in a box below the state's name: what it rests on, and the transitions that stay in it. */
function linesIn({ transitions }: Chart, { name, invokes }: ChartState): string[] {
  const staying = transitions.filter(({ from, to }) => from === name && to === name)
  return [
    ...invokes.map((source) => `invoke: ${source}`),
    ...staying.map(({ event, guard }) => `stays on: ${event}${guard && ` [${guard}]`}`),
  ]
}

/** Each event once, and its guards on a line of their own, so that arrows can stand close together. */
function linesOn(transitions: readonly ChartTransition[]): string[] {
  return [...Map.groupBy(transitions, ({ event }) => event)].flatMap(([event, alternatives], index) => {
    const first = index === 0 ? event : `or ${event}`
    const guards = alternatives.flatMap(({ guard }) => (guard ? `[${guard}]` : []))
    return guards.length > 0 ? [first, guards.join(' or ')] : [first]
  })
}

function areaOf({ x = 0, y = 0, width = 0, height = 0 }: ElkShape = {}, widerBy: number): Area {
  const left = Math.round(x - widerBy)
  return { x: left, y: Math.round(y), width: Math.round(x + width + widerBy) - left, height: Math.round(height) }
}

function pointsOf(edge: ElkExtendedEdge | undefined): Point[] {
  const points = edge?.sections?.flatMap(({ startPoint, bendPoints = [], endPoint }) => [
    startPoint,
    ...bendPoints,
    endPoint,
  ])
  return points?.map(({ x, y }) => ({ x: Math.round(x), y: Math.round(y) })) ?? []
}

/** An upper bound: a little more than the text takes in DejaVu Sans, the widest of the usual system fonts. */
function widthOf(text: string, fontSize: number): number {
  return [...text].reduce((width, character) => width + widthOfCharacter(character), 0) * fontSize
}

function widthOfCharacter(character: string): number {
  if (/[ijlI.,:;'| ]/.test(character)) return 0.34
  if (/[frt[\]()-]/.test(character)) return 0.42
  if (/[mwMW]/.test(character)) return 0.98
  return /[A-Z]/.test(character) ? 0.76 : 0.62
}
