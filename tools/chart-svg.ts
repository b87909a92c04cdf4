import type { Chart } from './chart.ts'
import { sizes, type Area, type Arrow, type Box, type Label, type Layout, type Point } from './chart-layout.ts'

const light = { card: '#ffffff', edge: '#d1d9e0', box: '#f3f5f8', line: '#59636e', text: '#1f2328', quiet: '#59636e' }
const dark = { card: '#0d1117', edge: '#3d444d', box: '#1c2128', line: '#9198a1', text: '#f0f6fc', quiet: '#a4acb5' }

/** Draws a chart on a card of its own, in the colours that the reader's system prefers. */
export function drawSvg(chart: Chart, layout: Layout): string {
  const { width, height, initial, boxes, arrows } = layout
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escapeXml(chart.description)}</title>`,
    `<style>`,
    `text { font: ${sizes.line}px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; text-anchor: middle }`,
    `.name { font-size: ${sizes.name}px; font-weight: 700 }`,
    `.arrow, .ring { fill: none }`,
    `.arrow, .box { stroke-width: 1.5 }`,
    ...colourRules(light),
    `@media (prefers-color-scheme: dark) {`,
    ...colourRules(dark),
    `}`,
    `</style>`,
    `<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path class="dot" d="M0 1 10 5 0 9z"/></marker>`,
    `<rect class="card" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>`,
    initial === undefined ? '' : drawStart(initial),
    ...arrows.map(drawArrow),
    ...boxes.map(drawBox),
    `</svg>`,
    ``,
  ].join('\n')
}

function colourRules(colours: typeof light): string[] {
  return [
    `.card { fill: ${colours.card}; stroke: ${colours.edge} }`,
    `.gap { fill: ${colours.card} }`,
    `.box { fill: ${colours.box}; stroke: ${colours.line} }`,
    `.ring, .arrow { stroke: ${colours.line} }`,
    `.dot { fill: ${colours.line} }`,
    `text { fill: ${colours.text} }`,
    `.quiet { fill: ${colours.quiet} }`,
  ]
}

function drawStart({ x, y, width }: Box): string {
  const middle = x + width / 2
  const dot = { x: middle, y: y - sizes.start + 6 }
  return `<circle class="dot" cx="${dot.x}" cy="${dot.y}" r="6"/>${drawLine([dot, { x: middle, y }])}`
}

/** The line is interrupted by its label, so that the text stands on the card. */
function drawArrow({ transitions, points, label }: Arrow): string {
  const title = transitions.map(({ description }) => description).join('\n')
  const gap = `<rect class="gap"${attributesOf(label)}/>`
  return `<g><title>${escapeXml(title)}</title>${drawLine(points)}${gap}${drawLines(label, label.y + 2)}</g>`
}

function drawBox(box: Box): string {
  const { state, x, y, width, height } = box
  const inner = { x: x + 4, y: y + 4, width: width - 8, height: height - 8 }
  const ring = state.isFinal ? `<rect class="ring"${attributesOf(inner)} rx="5"/>` : ''
  const name = drawText('name', state.name, x + width / 2, y + sizes.padding)
  const lines = drawLines(box, y + sizes.padding + sizes.lineHeight)
  return `<g><title>${escapeXml(state.description)}</title><rect class="box"${attributesOf(box)} rx="8"/>${ring}${name}${lines}</g>`
}

function attributesOf({ x, y, width, height }: Area): string {
  return ` x="${x}" y="${y}" width="${width}" height="${height}"`
}

/** Names and events come first; what runs in a box, guards and the word "or" are quiet. */
function drawLines(area: Box | Label, top: number): string {
  const isQuiet = (line: string): boolean => 'state' in area || line.startsWith('[')
  const middle = area.x + area.width / 2
  return area.lines
    .map((line, index) => drawText(isQuiet(line) ? 'quiet' : 'event', line, middle, top + index * sizes.lineHeight))
    .join('')
}

/** `top` is where the line of text begins; SVG counts from the baseline. */
function drawText(className: 'name' | 'event' | 'quiet', text: string, middle: number, top: number): string {
  const content = escapeXml(text).replace(/^or /, '<tspan class="quiet">$&</tspan>')
  return `<text class="${className}" x="${middle}" y="${top + 14}">${content}</text>`
}

function drawLine(points: readonly Point[]): string {
  const steps = points.map((point, index) => {
    const [before, after] = [points[index - 1], points[index + 1]]
    if (before === undefined) return `M${point.x} ${point.y}`
    if (after === undefined) return `L${point.x} ${point.y}`
    const [from, to] = [step(point, before), step(point, after)]
    return `L${from.x} ${from.y}Q${point.x} ${point.y} ${to.x} ${to.y}`
  })
  return `<path class="arrow" marker-end="url(#head)" d="${steps.join('')}"/>`
}

/** Where the rounding of the corner `from` ends on the way to `to`: half the way, but at most 8 pixels. */
function step(from: Point, to: Point): Point {
  const move = (distance: number): number => Math.sign(distance) * Math.min(8, Math.abs(distance) / 2)
  return { x: from.x + move(to.x - from.x), y: from.y + move(to.y - from.y) }
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
