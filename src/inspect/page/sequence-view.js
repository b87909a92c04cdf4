import { eventName, h, svg, time } from './dom.js'
import { toneOf } from './events-view.js'

/** Room for the times beside the lanes. */
const TIMES = 92
const LANES = 8
const MESSAGES = 60
const STEP = 30
const TOP = 40
const OUTSIDE = 'outside'

/** Who said what to whom: the selected actor, and those it talks to. */
export class SequenceView {
  #store
  #key
  #place = h('div', { class: 'sequence' })
  #message = h('pre', { class: 'message', hidden: true })
  element = h('div', { class: 'view' }, this.#place, this.#message)

  constructor(store) {
    this.#store = store
  }

  forget() {
    this.#key = undefined
  }

  render() {
    const store = this.#store
    const { selected } = store
    const all = store.events
      .filter(({ kind, to, from }) => kind === 'message' && (to === selected || from === selected))
      .slice(-MESSAGES)
    const key = `${selected}|${all.at(-1)?.seq}|${this.element.clientWidth}`
    if (key === this.#key) return
    this.#key = key
    if (all.length === 0) {
      const text =
        selected === undefined
          ? 'Select an actor: whom it talks to shows up here.'
          : 'It has neither sent nor got a message yet.'
      return this.#place.replaceChildren(h('p', { class: 'empty' }, text))
    }
    this.#draw(selected, all)
    return undefined
  }

  #draw(selected, all) {
    const store = this.#store
    // By their paths: the next one that is made at a place goes on in the same lane.
    const own = store.node(selected)?.path
    const talks = new Map()
    for (const { source, path } of all)
      for (const at of [source ?? OUTSIDE, path]) talks.set(at, (talks.get(at) ?? 0) + 1)
    talks.delete(own)
    const others = [...talks].toSorted((one, other) => other[1] - one[1]).map(([id]) => id)
    const lanes = [own, ...others.slice(0, LANES - 1)]
    const width = Math.max(TIMES + lanes.length * 150, this.element.clientWidth - 24)
    const gap = (width - TIMES) / lanes.length
    const x = (id) => TIMES + (lanes.indexOf(id) + 0.5) * gap
    const shown = all.filter(({ source, path }) => lanes.includes(source ?? OUTSIDE) && lanes.includes(path))
    const height = (shown.length + 1) * STEP
    const nameOf = (path) => path.slice(path.lastIndexOf('/') + 1)
    const head = svg(
      'marker',
      {
        id: 'arrow',
        viewBox: '0 0 10 10',
        refX: 9,
        refY: 5,
        markerWidth: 9,
        markerHeight: 9,
        orient: 'auto',
        markerUnits: 'userSpaceOnUse',
      },
      svg('path', { class: 'head', d: 'M0 1 10 5 0 9z' }),
    )
    const drawing = svg(
      'svg',
      { width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': 'Messages between actors' },
      svg('defs', {}, head),
    )
    const heads = svg('svg', { class: 'heads', width, height: TOP, 'aria-hidden': 'true' })
    for (const id of lanes) {
      drawing.append(svg('line', { class: 'lane', x1: x(id), x2: x(id), y1: 0, y2: height }))
      heads.append(
        svg('title', {}, id),
        svg('line', { class: 'lane', x1: x(id), x2: x(id), y1: 34, y2: TOP }),
        svg('rect', { class: 'lane-head', x: x(id) - gap / 2 + 8, y: 6, width: gap - 16, height: 28, rx: 6 }),
        svg('text', { class: 'name', x: x(id), y: 25 }, cut(nameOf(id), gap / 8)),
      )
    }
    for (const [index, event] of shown.entries()) {
      const y = (index + 0.7) * STEP
      const [from, to] = [x(event.source ?? OUTSIDE), x(event.path)]
      const path = from === to ? `M${from} ${y - 6}h34v14h-31` : `M${from} ${y}H${to + (from < to ? -2 : 2)}`
      const group = svg(
        'g',
        {
          class: `said ${toneOf(event.type)}`,
          tabindex: '0',
          role: 'button',
          'aria-label': `${event.type} at ${time(event.at)}`,
        },
        svg('text', { class: 'when', x: 4, y: y + 4 }, time(event.at)),
        svg('path', { class: 'hit', d: path }),
        svg('path', { class: 'arrow', d: path, 'marker-end': 'url(#arrow)' }),
        svg(
          'text',
          {
            class: 'line',
            x: from === to ? from + 40 : (from + to) / 2,
            y: from === to ? y + 4 : y - 5,
            'text-anchor': from === to ? 'start' : 'middle',
          },
          cut(eventName(event.type), Math.max(12, Math.abs(to - from) / 8)),
        ),
        svg('title', {}, `${time(event.at)} ${event.type}`),
      )
      const show = () => {
        this.#message.hidden = false
        this.#message.textContent = `${time(event.at)}  ${event.type}\n${event.data === undefined ? 'no data' : JSON.stringify(event.data, null, 2)}`
      }
      group.addEventListener('click', show)
      group.addEventListener('keydown', ({ key }) => key === 'Enter' && show())
      drawing.append(group)
    }
    const { scrollTop, scrollHeight, clientHeight } = this.#place
    const follows = scrollHeight - scrollTop - clientHeight < 60
    this.#place.replaceChildren(heads, drawing)
    if (follows) this.#place.scrollTop = this.#place.scrollHeight
  }
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, Math.max(1, Math.floor(most) - 1))}…` : text)
