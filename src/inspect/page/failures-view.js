import { h, time } from './dom.js'

/** A card for each failure, the newest first, with everybody who saw it. */
export class FailuresView {
  #store
  #links
  #cards = new Map()
  #list = h('div', { class: 'cards' })
  #hint = h('p', { class: 'empty' })
  element

  constructor(store, links) {
    this.#store = store
    this.#links = links
    this.element = h('div', { class: 'view failures' }, this.#list, this.#hint)
  }

  forget() {
    this.#cards.clear()
    this.#list.replaceChildren()
  }

  render() {
    const { failures, system } = this.#store
    for (const failure of failures) {
      if (this.#cards.has(failure.number)) continue
      const card = failureCard(failure, this.#links)
      this.#cards.set(failure.number, card)
      this.#list.prepend(card)
    }
    const known = new Set(failures.map(({ number }) => number))
    for (const [number, card] of this.#cards) {
      if (known.has(number)) continue
      card.remove()
      this.#cards.delete(number)
    }
    this.#hint.hidden = failures.length > 0
    this.#hint.textContent =
      failures.length > 0
        ? ''
        : `No failure since ${time(system?.startedAt ?? Date.now(), false).slice(0, 5)}. One shows up here with every supervisor it climbed through.`
  }
}

export function failureCard(failure, links) {
  const { job, attempt, trail, error, causes = [] } = failure
  const last = trail.at(-1)
  const buttons = [
    failure.to !== undefined || job !== undefined
      ? h('button', { class: 'link', onclick: () => links.select(failure.to, job?.task ?? failure.path) }, 'chart')
      : undefined,
    job === undefined ? undefined : h('button', { class: 'link', onclick: () => links.job(failure.path) }, 'job'),
    job === undefined ? undefined : h('button', { class: 'link', onclick: () => links.dead(job.id) }, 'dead letter'),
  ]
  return h(
    'article',
    { class: 'card', 'aria-label': `Failure of ${failure.path}` },
    h(
      'header',
      {},
      h('time', {}, time(failure.at, false)),
      h('b', { class: 'path' }, failure.path),
      h('span', { class: 'tag' }, failure.kind),
      attempt === undefined || job === undefined
        ? undefined
        : h('span', { class: 'hint' }, `attempt ${attempt} of ${job.attempts}`),
      last === undefined ? undefined : h('span', { class: `decision ${last.decision}` }, last.decision),
      h('span', { class: 'buttons' }, ...buttons),
    ),
    errorPart(error, ''),
    ...causes.map((cause) => errorPart(cause, 'caused by ')),
    trailPart(trail),
  )
}

function errorPart(error, relation) {
  if (error === undefined) return undefined
  if ('thrown' in error) return h('p', { class: 'thrown' }, `${relation}thrown: ${error.thrown} (${error.type})`)
  const code = error.code === undefined ? '' : ` (${error.code})`
  const line = h('span', {}, relation, h('b', {}, error.name), `: ${error.message}${code}`)
  if (error.stack === undefined) return h('p', { class: 'thrown' }, line)
  const frames = error.stack.split('\n').filter((text) => /^\s+at /.test(text) || text.includes('…'))
  return h(
    'details',
    { class: 'thrown', open: relation === '' && frames.length <= 6 },
    h('summary', {}, line),
    h('pre', {}, frames.join('\n')),
  )
}

function trailPart(trail) {
  if (trail.length === 0) return undefined
  return h(
    'ol',
    { class: 'trail', 'aria-label': 'Who decided' },
    ...trail.map(({ path, decision, by, asked, because }) =>
      h(
        'li',
        {},
        h('span', { class: 'where' }, path === '' ? 'root catch' : path),
        h('span', { class: `decision ${decision}` }, decision),
        h(
          'span',
          { class: 'hint' },
          `by ${by}${asked === undefined ? '' : `, asked ${asked}`}${because === undefined ? '' : `, because ${because.message ?? because.thrown}`}`,
        ),
      ),
    ),
  )
}
