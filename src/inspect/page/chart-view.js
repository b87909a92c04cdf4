import { find, h, setClass, setText, svg } from './dom.js'
import { countStates, labelOf, layOut, linesOf, MOST_STATES, nameOf } from './chart-layout.js'

/** The statechart of the selected node. It is laid out once; afterwards only classes change. */
export class ChartView {
  #figure = find('chart')
  #hash
  #drawn = new Map()
  #states = new Map()
  #edges = new Map()
  #scene
  #view = { x: 0, y: 0, scale: 1 }
  #size = { width: 0, height: 0 }
  #hasMoved = false
  #flashed = new Set()
  #shownDetail
  #text = h('ul', { class: 'unseen' })

  constructor() {
    const tools = h(
      'div',
      { class: 'chart-tools' },
      h('button', { class: 'icon', 'aria-label': 'Zoom in', title: '+', onclick: () => this.zoom(1.25) }, '+'),
      h('button', { class: 'icon', 'aria-label': 'Zoom out', title: '-', onclick: () => this.zoom(0.8) }, '−'),
      h('button', { class: 'icon', 'aria-label': 'Fit', title: '0', onclick: () => this.fit() }, '⤢'),
    )
    this.#scene = h('div', { class: 'scene' })
    this.#figure.append(this.#scene, tools, this.#text)
    this.#pan()
    new ResizeObserver(() => this.#hasMoved || this.fit()).observe(this.#figure)
  }

  async show(node, chart) {
    this.node = node
    const hash = chart === undefined ? `card:${node?.id ?? ''}` : node.chart
    if (hash === this.#hash) return
    this.#hash = hash
    this.#hasMoved = false
    this.#states = new Map()
    this.#edges = new Map()
    this.#flashed = new Set()
    this.#text.replaceChildren()
    if (chart === undefined) return this.#card(node)
    let laid = this.#drawn.get(hash)
    if (laid === undefined) {
      this.#say('Laying out the chart …')
      const { clientWidth: width, clientHeight: height } = this.#figure
      laid = { graph: await layOut(chart, { width, height }) }
      this.#drawn.set(hash, laid)
    }
    if (this.#hash !== hash) return
    if (laid.graph === undefined) this.#boxes(chart)
    else this.#draw(laid.graph)
    this.#text.replaceChildren(...textOf(chart.root))
    this.update(this.node, this.detail)
    this.fit()
  }

  /** Which states are active, and which edges were just taken. */
  update(node, detail) {
    this.node = node
    this.detail = detail
    if (node === undefined) return
    const active = new Set([''])
    for (const state of node.state) {
      const parts = state.split('.')
      for (let length = 1; length <= parts.length; length += 1) active.add(parts.slice(0, length).join('.'))
    }
    const over = node.status === 'active' ? '' : ' over'
    for (const [path, { element, base }] of this.#states)
      setClass(element, `${base}${active.has(path) ? ` active${over}` : ''}`)
    if (detail === undefined || detail === this.#shownDetail || detail.id !== node.id) return
    this.#shownDetail = detail
    if (detail.fired.length === 0) return
    for (const element of this.#flashed) element.classList.remove('fired', 'latest')
    this.#flashed = new Set()
    for (const id of detail.fired) {
      for (const element of this.#edges.get(id) ?? []) {
        element.getBoundingClientRect() // begins the flash anew, also of the same edge
        element.classList.add('fired')
        this.#flashed.add(element)
      }
    }
  }

  fit() {
    const { clientWidth, clientHeight } = this.#figure
    const { width, height } = this.#size
    if (width === 0 || clientWidth === 0) return
    const scale = Math.min(1.15, (clientWidth - 24) / width, (clientHeight - 24) / height)
    this.#hasMoved = false
    this.#view = { scale, x: (clientWidth - width * scale) / 2, y: Math.max(12, (clientHeight - height * scale) / 2) }
    this.#place()
  }

  zoom(by, x = this.#figure.clientWidth / 2, y = this.#figure.clientHeight / 2) {
    const scale = Math.min(4, Math.max(0.1, this.#view.scale * by))
    const factor = scale / this.#view.scale
    this.#hasMoved = true
    this.#view = { scale, x: x - (x - this.#view.x) * factor, y: y - (y - this.#view.y) * factor }
    this.#place()
  }

  #place() {
    const { x, y, scale } = this.#view
    this.#scene.style.transform = `translate(${x}px, ${y}px) scale(${scale})`
  }

  #pan() {
    let from
    this.#figure.addEventListener('pointerdown', (event) => {
      if (event.button !== 0 || /** @type {Element} */ (event.target).closest('button, a')) return
      from = { x: event.clientX - this.#view.x, y: event.clientY - this.#view.y }
      this.#figure.setPointerCapture(event.pointerId)
    })
    this.#figure.addEventListener('pointermove', (event) => {
      if (from === undefined) return
      this.#hasMoved = true
      this.#view = { ...this.#view, x: event.clientX - from.x, y: event.clientY - from.y }
      this.#place()
    })
    this.#figure.addEventListener('pointerup', () => (from = undefined))
    this.#figure.addEventListener('pointercancel', () => (from = undefined))
    this.#figure.addEventListener(
      'wheel',
      (event) => {
        event.preventDefault()
        const box = this.#figure.getBoundingClientRect()
        this.zoom(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top)
      },
      { passive: false },
    )
  }

  #say(text) {
    this.#size = { width: 0, height: 0 }
    this.#view = { x: 0, y: 0, scale: 1 }
    this.#place()
    this.#scene.replaceChildren(h('p', { class: 'empty' }, text))
  }

  #card(node) {
    if (node === undefined) return this.#say('Select something in the tree: its statechart shows up here, live.')
    const text =
      node.kind === 'remote'
        ? 'A process that sends what it inspects.'
        : 'This actor has no statechart: a promise, a callback, or a function. Its snapshot stands beside.'
    return this.#say(text)
  }

  #boxes({ root }) {
    const box = (state) => {
      const name = h('span', { class: 'box-name' }, state.key)
      const base = `box ${state.type}`
      const element = h('div', { class: base }, name, ...state.states.map(box))
      this.#states.set(state.path, { element, base })
      return element
    }
    const many = countStates(root)
    const why =
      many > MOST_STATES ? `${many} states are too many to draw with their edges.` : 'The layout took too long.'
    this.#say('')
    this.#scene.replaceChildren(h('p', { class: 'hint' }, why), box(root))
    this.#size = { width: this.#scene.scrollWidth, height: this.#scene.scrollHeight }
  }

  #draw(graph) {
    const boxes = svg('g')
    const edges = svg('g')
    const labels = svg('g')
    const visit = (node) => {
      if (node.isInitial) {
        boxes.append(svg('circle', { class: 'initial', cx: node.x + 6, cy: node.y + 6, r: 6 }))
        return
      }
      boxes.append(this.#box(node))
      for (const child of node.children ?? []) visit(child)
    }
    for (const node of graph.children) visit(node)
    for (const edge of graph.edges) this.#edge(edge, edges, labels)
    const head = svg(
      'marker',
      {
        id: 'head',
        viewBox: '0 0 10 10',
        refX: 9,
        refY: 5,
        markerWidth: 8,
        markerHeight: 8,
        orient: 'auto-start-reverse',
        markerUnits: 'userSpaceOnUse',
      },
      svg('path', { class: 'head', d: 'M0 1 10 5 0 9z' }),
    )
    const hot = head.cloneNode(true)
    hot.id = 'hot-head'
    hot.firstChild.setAttribute('class', 'hot-head')
    const { width, height } = graph
    this.#size = { width, height }
    const drawing = svg(
      'svg',
      { width, height, viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true' },
      svg('defs', {}, head, hot),
      boxes,
      edges,
      labels,
    )
    this.#scene.replaceChildren(drawing)
  }

  #box({ state, lines, x, y, width, height, children }) {
    if (state.type === 'history') {
      const group = svg(
        'g',
        {},
        svg('circle', { class: 'history', cx: x + 15, cy: y + 15, r: 13 }),
        svg('text', { class: 'name', x: x + 15, y: y + 19.5 }, 'H'),
      )
      return group
    }
    const base = `box ${state.type}${children === undefined ? '' : ' has-children'}`
    const middle = x + width / 2
    const nameY = y + 12 + 11
    const texts = lines.map(({ text, edge }, index) => {
      const line = svg(
        'text',
        { class: edge === undefined ? 'line quiet' : 'line', x: middle, y: nameY + 18 + index * 17 },
        text,
      )
      if (edge !== undefined) this.#remember(edge, line)
      return line
    })
    const group = svg(
      'g',
      { class: base },
      titleOf(state),
      svg('rect', { class: 'outline', x, y, width, height, rx: 8 }),
      state.type === 'final'
        ? svg('rect', { class: 'inner', x: x + 4, y: y + 4, width: width - 8, height: height - 8, rx: 5 })
        : undefined,
      svg('text', { class: 'name', x: middle, y: nameY }, nameOf(state)),
      ...texts,
    )
    this.#states.set(state.path, { element: group, base })
    return group
  }

  #edge({ sections = [], labels: [label], own }, edges, labels) {
    const isError = own.some(({ event }) => event.startsWith('xstate.error.'))
    for (const { startPoint, bendPoints = [], endPoint } of sections) {
      const d = rounded([startPoint, ...bendPoints, endPoint])
      const path = svg('path', { class: isError ? 'edge error' : 'edge', d, 'marker-end': 'url(#head)' })
      edges.append(path)
      for (const { id } of own) this.#remember(id, path)
    }
    if (label === undefined || label.x === undefined) return
    const { x, y, width, height } = label
    const back = svg('rect', { class: 'label-back', x, y, width, height, rx: 4 })
    const group = svg('g', { class: isError ? 'label error' : 'label' }, back)
    for (const [index, edge] of own.entries()) {
      const text = svg('text', { class: 'line', x: x + width / 2, y: y + 14 + index * 17 }, labelOf(edge))
      if (edge.description !== undefined) text.append(svg('title', {}, edge.description))
      group.append(text)
      this.#remember(edge.id, text)
    }
    labels.append(group)
  }

  #remember(edge, element) {
    const known = this.#edges.get(edge)
    if (known === undefined) this.#edges.set(edge, [element])
    else known.push(element)
  }
}

function titleOf(state) {
  const parts = [nameOf(state) === state.key ? undefined : state.key, state.description]
  const text = parts.filter((part) => part !== undefined).join('\n')
  return text === '' ? undefined : svg('title', {}, text)
}

/** A line with round corners. */
function rounded(points) {
  const step = (from, to) => {
    const length = Math.hypot(to.x - from.x, to.y - from.y) || 1
    const by = Math.min(7, length / 2)
    return { x: from.x + ((to.x - from.x) / length) * by, y: from.y + ((to.y - from.y) / length) * by }
  }
  return points
    .map((point, index) => {
      const before = points[index - 1]
      const after = points[index + 1]
      if (before === undefined) return `M${point.x} ${point.y}`
      if (after === undefined) return `L${point.x} ${point.y}`
      const [from, to] = [step(point, before), step(point, after)]
      return `L${from.x} ${from.y}Q${point.x} ${point.y} ${to.x} ${to.y}`
    })
    .join('')
}

/** The chart as text, for whoever does not see it. */
function textOf(state, depth = 0) {
  const own = [state.type, ...linesOf(state).map(({ text }) => text)].join(', ')
  const ways = state.edges
    .filter(({ to }) => to.length > 0)
    .map((edge) => `${labelOf(edge)} to ${edge.to.join(' and ')}`)
  const item = h(
    'li',
    { data: { depth } },
    `${state.path || state.key} (${own})${ways.length > 0 ? `: ${ways.join('; ')}` : ''}`,
  )
  return [item, ...state.states.flatMap((below) => textOf(below, depth + 1))]
}

export function showSelected(place, node, buttons) {
  if (node === undefined) return place.replaceChildren(h('p', { class: 'hint' }, 'Nothing is selected.'))
  const line = place.querySelector('.path')
  const key = `${node.id} ${node.phase}`
  if (line === null || place.dataset.id !== key) {
    place.dataset.id = key
    place.replaceChildren(
      h('span', { class: 'path', title: node.path }, node.path),
      h('span', { class: 'state' }),
      h('span', { class: 'meta' }),
      h('span', { class: 'buttons' }, ...buttons(node)),
    )
  }
  const { word, tone, meta } = node.shown
  setText(place.querySelector('.state'), word)
  setClass(place.querySelector('.state'), `state ${tone}`)
  setText(place.querySelector('.meta'), meta)
  return undefined
}
