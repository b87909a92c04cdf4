import { short } from './context-view.js'
import { duration, h, time } from './dom.js'
import { failureCard } from './failures-view.js'
import { isJob } from './store.js'

/** One job: its attempts on a line of time, each with its error. */
export class JobView {
  #store
  #ask
  #links
  #path
  #record
  #asked = 0
  #place = h('div', { class: 'job' })
  element = h('div', { class: 'view' }, this.#place)

  constructor(store, ask, links) {
    this.#store = store
    this.#ask = ask
    this.#links = links
  }

  show(path) {
    this.#path = path
    this.#record = undefined
    this.#asked = 0
  }

  forget() {
    this.#asked = 0
  }

  render() {
    const selected = this.#store.node(this.#store.selected)
    if (selected !== undefined && isJob(selected) && selected.path !== this.#path) this.show(selected.path)
    if (this.#path === undefined) {
      this.#place.replaceChildren(
        h(
          'p',
          { class: 'empty' },
          'Select a job in the tree, or on the card of a failure: what it did shows up here, attempt by attempt.',
        ),
      )
      return
    }
    const isOver = this.#record !== undefined && this.#record.finishedAt !== undefined
    if (!isOver && Date.now() - this.#asked > 1_000) void this.#load()
  }

  async #load() {
    this.#asked = Date.now()
    const path = this.#path
    try {
      const record = await this.#ask('job', { path })
      if (path !== this.#path) return
      this.#record = record
      this.#place.replaceChildren(...(record === undefined ? [this.#unknown(path)] : this.#draw(record)))
    } catch (error) {
      this.#place.replaceChildren(h('p', { class: 'empty' }, error.message))
    }
  }

  #unknown(path) {
    return h('p', { class: 'empty' }, `The broker no longer keeps ${path}.`)
  }

  #draw(record) {
    const spans = spansOf(
      record,
      this.#store.events.filter(({ path }) => path === record.path),
    )
    const answered = this.#store.events.find(({ path, type }) => path === record.path && type === 'job.answered')
    return [
      h(
        'header',
        { class: 'job-head' },
        h('b', { class: 'path' }, record.path),
        h('span', { class: `state ${toneOf(record.status)}` }, record.status),
        h(
          'span',
          { class: 'hint' },
          `asked for at ${time(record.addedAt)}${record.finishedAt === undefined ? '' : `, over after ${duration(record.finishedAt - record.addedAt)}`}`,
        ),
      ),
      bars(spans),
      h(
        'dl',
        { class: 'facts wide' },
        ...fact('attempts', String(record.attempts)),
        ...fact('incarnation', String(record.generation)),
        ...fact('idempotency key', record.idempotencyKey),
        ...(record.lane === undefined ? [] : fact('lane', record.lane)),
        ...(answered === undefined ? [] : fact('answered by plugin', String(answered.data?.plugin ?? ''))),
        ...(record.input === undefined ? [] : fact('input', short(record.input, 400))),
        ...(record.output === undefined ? [] : fact('value', short(record.output, 400))),
        ...(record.reason === undefined ? [] : fact('cancelled because', short(record.reason, 200))),
      ),
      h(
        'ol',
        { class: 'attempts' },
        ...record.history.map(({ attempt, generation, at, kind, message }) =>
          h(
            'li',
            {},
            h(
              'span',
              { class: 'hint' },
              `attempt ${attempt}${generation > 1 ? ` of incarnation ${generation}` : ''}, ${time(at)}`,
            ),
            h('span', { class: 'tag' }, kind),
            h('span', {}, message),
          ),
        ),
      ),
      ...(record.failure === undefined ? [] : [failureCard(record.failure, this.#links)]),
    ]
  }
}

const fact = (name, value) => [h('dt', {}, name), h('dd', {}, value)]

const toneOf = (status) =>
  ({ done: 'done', fallback: 'warn', failed: 'bad', running: 'good', cancelled: 'off' })[status] ?? 'idle'

/** What it did when: events tell it best, and the record tells what was before anybody looked. */
function spansOf(record, events) {
  const end = record.finishedAt ?? Date.now()
  const spans = []
  let from = record.addedAt
  let kind = 'wait'
  let label = 'waits'
  const close = (at, next, text) => {
    if (at > from) spans.push({ kind, label, from, to: at })
    from = at
    kind = next
    label = text
  }
  const started = events.some(({ type }) => type === 'job.started')
  if (started) {
    for (const event of events) {
      if (event.type === 'job.started') close(event.at, 'run', `attempt ${event.data?.attempt ?? ''}`)
      else if (event.type === 'job.retrying') close(event.at, 'wait', `waits ${duration(event.data?.delay)}`)
      else if (event.type === 'plugins.answer') close(event.at, 'plugins', 'plugins')
      else if (event.type === 'fallback.value' || event.type === 'fallback.error')
        close(event.at, 'fallback', 'fallback')
    }
  } else {
    for (const { attempt, at } of record.history) {
      label = `attempt ${attempt}`
      kind = 'run'
      close(at, 'wait', 'waits')
    }
    if (record.status === 'running' || record.status === 'done') {
      kind = 'run'
      label = `attempt ${record.attempts}`
    }
  }
  close(end, 'wait', '')
  return spans
}

function bars(spans) {
  if (spans.length === 0) return h('p', { class: 'hint' }, 'It has not begun yet.')
  const first = spans[0].from
  const whole = Math.max(1, spans.at(-1).to - first)
  const line = h('div', {
    class: 'bars',
    role: 'img',
    'aria-label': spans.map(({ label, from, to }) => `${label} ${duration(to - from)}`).join(', '),
  })
  for (const { kind, label, from, to } of spans) {
    const bar = h(
      'span',
      { class: `bar-part ${kind}`, title: `${label}: ${duration(to - from)}` },
      (to - from) / whole > 0.13 ? `${label} · ${duration(to - from)}` : '',
    )
    bar.style.width = `${((to - from) / whole) * 100}%`
    line.append(bar)
  }
  return h('div', {}, line, h('div', { class: 'scale' }, h('span', {}, time(first)), h('span', {}, duration(whole))))
}
