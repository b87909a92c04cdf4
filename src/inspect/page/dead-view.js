import { short } from './context-view.js'
import { duration, h, time } from './dom.js'
import { failureCard } from './failures-view.js'

/** Jobs that failed for good; with `control` they can be sent again or thrown away. */
export class DeadView {
  #store
  #ask
  #links
  #act
  #asked = 0
  #wanted
  #kind = ''
  #tasks = h('select', { 'aria-label': 'Task' }, h('option', { value: '' }, 'all tasks'))
  #cursor
  #rows = []
  #table = h('tbody')
  #hint = h('p', { class: 'empty' })
  #more = h('button', { hidden: true, onclick: () => void this.#load(this.#cursor) }, 'Show more')
  #letter = h('div', { class: 'letter' })
  element

  constructor(store, ask, links, act) {
    this.#store = store
    this.#ask = ask
    this.#links = links
    this.#act = act
    const kind = h(
      'select',
      { 'aria-label': 'Kind of failure' },
      h('option', { value: '' }, 'all kinds'),
      ...['thrown', 'timeout', 'plugin', 'fallback', 'input', 'result', 'lost'].map((name) =>
        h('option', { value: name }, name),
      ),
    )
    kind.addEventListener('change', () => {
      this.#kind = kind.value
      void this.#load()
    })
    this.#tasks.addEventListener('change', () => void this.#load())
    const again = h('button', { onclick: () => void this.#load() }, 'Look again')
    const head = h(
      'tr',
      {},
      ...['task', 'job', 'kind', 'attempts', 'died', 'last error'].map((name) => h('th', { scope: 'col' }, name)),
    )
    this.element = h(
      'div',
      { class: 'view dead' },
      h('div', { class: 'tools' }, this.#tasks, kind, again),
      h(
        'div',
        { class: 'split' },
        h('div', { class: 'table' }, h('table', {}, h('thead', {}, head), this.#table), this.#hint, this.#more),
        this.#letter,
      ),
    )
  }

  open(id) {
    this.#wanted = id
    void this.#show(id)
  }

  forget() {
    this.#asked = 0
  }

  render() {
    if (Date.now() - this.#asked > 5_000 && this.#rows.length <= 100) void this.#load()
  }

  async #load(cursor) {
    this.#asked = Date.now()
    try {
      this.#offerTasks()
      const task = this.#tasks.value
      const { rows, cursor: next } = await this.#ask('dead', { task, kind: this.#kind, cursor })
      this.#rows = cursor === undefined ? rows : [...this.#rows, ...rows]
      this.#cursor = next
      this.#more.hidden = next === undefined
      this.#table.replaceChildren(...this.#rows.map((row) => this.#row(row)))
      this.#hint.hidden = this.#rows.length > 0
      this.#hint.textContent = 'No dead letters. A job that fails for good, and whom nobody above helps, is kept here.'
    } catch (error) {
      this.#hint.hidden = false
      this.#hint.textContent = error.message
    }
  }

  #offerTasks() {
    const known = new Set([...this.#tasks.options].map(({ value }) => value))
    for (const { kind, path } of this.#store.nodes.values()) {
      if (kind !== 'task' || known.has(path)) continue
      known.add(path)
      this.#tasks.append(h('option', { value: path }, path))
    }
  }

  #row({ id, task, kind, attempts, diedAt, message }) {
    const line = h(
      'tr',
      { tabindex: '0', class: id === this.#wanted ? 'selected' : '' },
      h('td', { class: 'path' }, task),
      h('td', {}, id),
      h('td', {}, h('span', { class: 'tag' }, kind)),
      h('td', { class: 'number' }, String(attempts)),
      h('td', { title: time(diedAt) }, `${duration(Date.now() - diedAt)} ago`),
      h('td', { class: 'message', title: message }, lastError(message)),
    )
    line.addEventListener('click', ({ target }) => target.closest('button') || this.open(id))
    line.addEventListener('keydown', ({ key }) => key === 'Enter' && this.open(id))
    return line
  }

  #buttons(id, task) {
    if (!this.#store.system?.control) return undefined
    const ask = (action, text) => () =>
      this.#act({ action, id }, `${text} job ${id} of ${task}?`).then((isDone) => {
        if (!isDone) return
        this.#letter.replaceChildren()
        void this.#load()
      })
    return h(
      'span',
      { class: 'buttons' },
      h('button', { onclick: ask('replay', 'Replay') }, 'Replay'),
      h('button', { class: 'danger', onclick: ask('discard', 'Discard') }, 'Discard'),
    )
  }

  async #show(id) {
    try {
      const letter = await this.#ask('letter', { id })
      if (letter === undefined) {
        this.#letter.replaceChildren(
          h('p', { class: 'empty' }, `There is no dead letter ${id}: it was replayed, discarded, or somebody helped.`),
        )
        return
      }
      this.#letter.replaceChildren(
        h('h3', {}, `Job ${letter.id} of ${letter.task} `),
        this.#buttons(letter.id, letter.task) ?? '',
        letter.input === undefined ? '' : h('div', {}, h('h4', {}, 'Input'), h('pre', {}, short(letter.input, 4_000))),
        failureCard(letter.failure, this.#links),
      )
    } catch (error) {
      this.#letter.replaceChildren(h('p', { class: 'empty' }, error.message))
    }
  }
}

/** The path and the count of attempts stand in columns of their own. */
const lastError = (message) => message.replace(/^\S+ failed[^:]*: /, '')
