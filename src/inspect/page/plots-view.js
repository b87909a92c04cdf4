import uPlot from '/vendor/uplot.js'
import { h } from './dom.js'

const plots = [
  {
    title: 'Jobs a second, by outcome',
    series: [
      ['done', 'good', (s) => s.done],
      ['fallback', 'warn', (s) => s.fellBack],
      ['failed', 'bad', (s) => s.failed],
      ['cancelled', 'off', (s) => s.cancelled],
    ],
  },
  {
    title: 'Waiting and running jobs',
    series: [
      ['waiting', 'accent', (s) => s.waiting],
      ['delayed', 'off', (s) => s.delayed],
      ['running', 'good', (s) => s.running],
    ],
  },
  {
    title: 'Wait time, ms',
    series: [
      ['p50', 'good', (s) => s.wait?.p50],
      ['p95', 'warn', (s) => s.wait?.p95],
      ['p99', 'bad', (s) => s.wait?.p99],
    ],
  },
  {
    title: 'Run time, ms',
    series: [
      ['p50', 'good', (s) => s.run?.p50],
      ['p95', 'warn', (s) => s.run?.p95],
      ['p99', 'bad', (s) => s.run?.p99],
    ],
  },
  {
    title: 'Failures and restarts a minute',
    series: [
      ['failures', 'bad', minute('failures')],
      ['restarts', 'warn', minute('restarts')],
    ],
  },
  { title: 'Event loop delay p99, ms', series: [['delay', 'accent', (s) => s.loop]] },
  {
    title: 'Memory, MB',
    series: [
      ['heap', 'accent', (s) => s.heap / 1e6],
      ['rss', 'off', (s) => s.rss / 1e6],
    ],
  },
]

/** Lines are told apart without their colours, too. */
const DASHES = [undefined, [7, 4], [2, 3], [10, 3, 2, 3]]

function minute(name) {
  return (_, index, samples) => {
    let sum = 0
    for (let at = Math.max(0, index - 59); at <= index; at += 1) sum += samples[at][name]
    return sum
  }
}

/** Is it getting worse? Ten minutes, each plot with one unit. */
export class PlotsView {
  #store
  #charts = []
  #last
  #theme
  #hint = h('p', { class: 'empty' }, 'One sample a second, while somebody looks: the first is on its way.')
  #grid = h('div', { class: 'plots' })
  element = h('div', { class: 'view' }, this.#hint, this.#grid)

  constructor(store) {
    this.#store = store
  }

  forget() {
    this.#last = undefined
  }

  render() {
    const { samples } = this.#store
    const last = samples.at(-1)?.at
    const theme = getComputedStyle(document.documentElement).getPropertyValue('--text')
    if (theme !== this.#theme) this.#make()
    this.#theme = theme
    this.#hint.hidden = samples.length > 0
    const width = this.#grid.firstElementChild?.clientWidth ?? 0
    for (const { chart } of this.#charts)
      if (width > 40 && chart.width !== width - 2) chart.setSize({ width: width - 2, height: 150 })
    if (last === this.#last || last === undefined) return
    this.#last = last
    const x = samples.map(({ at }) => at / 1_000)
    for (const { chart, series } of this.#charts) {
      chart.setData(
        [x, ...series.map(([, , read]) => samples.map((sample, index) => read(sample, index, samples) ?? null))],
        false,
      )
      chart.setScale('x', { min: Math.max(x.at(-1) - 600, Math.min(x[0], x.at(-1) - 60)), max: x.at(-1) })
    }
  }

  #make() {
    const style = getComputedStyle(document.documentElement)
    const colour = (name) => style.getPropertyValue(`--${name}`).trim()
    this.#grid.replaceChildren()
    this.#last = undefined
    this.#charts = plots.map(({ title, series }) => {
      const place = h('section', { class: 'plot', 'aria-label': title }, h('h3', {}, title))
      this.#grid.append(place)
      const axis = {
        stroke: colour('quiet'),
        grid: { stroke: colour('edge'), width: 1 },
        ticks: { show: false },
        font: '11px system-ui',
      }
      const chart = new uPlot(
        {
          width: Math.max(220, place.clientWidth - 2),
          height: 150,
          padding: [8, 24, 0, 0],
          cursor: { y: false },
          legend: { live: false, markers: { dash: (_, index) => ['solid', 'dashed', 'dotted', 'double'][index - 1] } },
          scales: { y: { range: (_, min, max) => [Math.min(0, min ?? 0), Math.max(1, (max ?? 1) * 1.1)] } },
          axes: [
            {
              ...axis,
              values: (_, ticks) =>
                ticks.map((tick) => new Date(tick * 1_000).toTimeString().slice(0, 8).replace(/:00$/, '')),
            },
            { ...axis, size: 44 },
          ],
          series: [
            {},
            ...series.map(([label, name], index) => ({
              label,
              stroke: colour(name),
              dash: DASHES[index],
              width: index === 0 ? 1.5 : 1.75,
              points: { show: false },
              spanGaps: true,
            })),
          ],
        },
        [[], ...series.map(() => [])],
        place,
      )
      return { chart, series }
    })
  }
}
