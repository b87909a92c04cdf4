import { short } from './context-view.js'
import { count, eventName, h, matcher, setText, time } from './dom.js'

const SHOWN = 400

/** What happens, the newest last. */
export class EventsView {
  #store
  #seen = 0
  #filter = ''
  #kind = ''
  #isOnlySelected = false
  #isPaused = false
  #missed = 0
  #list = h('div', { class: 'log', role: 'log', 'aria-label': 'Events', 'aria-live': 'off', tabindex: '0' })
  #hint = h('p', { class: 'empty' })
  #needsAll = true
  #selected
  #follows = true
  element

  constructor(store, select) {
    this.#store = store
    const text = h('input', {
      type: 'search',
      placeholder: 'Filter: type, path or /regex/',
      'aria-label': 'Filter events',
      spellcheck: 'false',
    })
    text.addEventListener('input', () => this.#refilter(() => (this.#filter = text.value)))
    const kind = h(
      'select',
      { 'aria-label': 'Kind of event' },
      h('option', { value: '' }, 'all kinds'),
      h('option', { value: 'message' }, 'messages'),
      h('option', { value: 'event' }, 'events of the runtime'),
    )
    kind.addEventListener('change', () => this.#refilter(() => (this.#kind = kind.value)))
    const only = h('input', { type: 'checkbox' })
    only.addEventListener('change', () => this.#refilter(() => (this.#isOnlySelected = only.checked)))
    this.#list.addEventListener('scroll', () => {
      const { scrollTop, scrollHeight, clientHeight } = this.#list
      if (clientHeight > 0) this.#follows = scrollHeight - scrollTop - clientHeight < 40
    })
    new ResizeObserver(() => this.#toEnd()).observe(this.#list)
    this.#list.addEventListener('click', ({ target }) => {
      const to = target.closest?.('.event')?.dataset.to
      if (to !== undefined) select(to)
    })
    this.element = h(
      'div',
      { class: 'view events' },
      h('div', { class: 'tools' }, text, kind, h('label', {}, only, ' selected only')),
      this.#list,
      this.#hint,
    )
  }

  set paused(isPaused) {
    this.#isPaused = isPaused
    if (!isPaused) this.#needsAll = true
  }

  /** How many came while it was paused. */
  get missed() {
    return this.#missed
  }

  forget() {
    this.#seen = 0
    this.#needsAll = true
  }

  render() {
    const store = this.#store
    if (this.#isOnlySelected && this.#selected !== store.selected) this.#needsAll = true
    this.#selected = store.selected
    if (this.#isPaused) {
      this.#missed = store.seen - this.#seen
      return
    }
    this.#missed = 0
    const isNew = store.seen - this.#seen
    if (isNew <= 0 && !this.#needsAll) return
    if (this.#needsAll) this.#follows = true
    const events = this.#needsAll ? store.events : store.events.slice(-isNew)
    const isFound = matcher(this.#filter)
    const wanted = events.filter((event) => this.#wants(event, isFound)).slice(-SHOWN)
    if (this.#needsAll) this.#list.replaceChildren()
    this.#list.append(...wanted.map((event) => this.#row(event)))
    while (this.#list.childElementCount > SHOWN) this.#list.firstElementChild.remove()
    this.#needsAll = false
    this.#seen = store.seen
    this.#toEnd()
    const isEmpty = this.#list.childElementCount === 0
    this.#hint.hidden = !isEmpty
    setText(this.#hint, isEmpty ? this.#emptyText() : '')
  }

  #toEnd() {
    if (this.#follows) this.#list.scrollTop = this.#list.scrollHeight
  }

  #emptyText() {
    if (this.#filter !== '' || this.#kind !== '' || this.#isOnlySelected)
      return 'Nothing that fits the filter has happened yet.'
    return 'Nothing has happened yet. Each message and each event shows up here, the newest last.'
  }

  #refilter(change) {
    change()
    this.#needsAll = true
    this.render()
  }

  #wants(event, isFound) {
    if (this.#kind !== '' && event.kind !== this.#kind) return false
    const { selected } = this.#store
    if (this.#isOnlySelected && event.to !== selected && event.from !== selected) return false
    return isFound(`${event.type} ${event.path}`)
  }

  #row(event) {
    const from = this.#store.node(event.from)
    return h(
      'div',
      {
        class: `event ${toneOf(event.type)}${event.handled === false ? ' unhandled' : ''}`,
        data: event.to === undefined ? {} : { to: event.to },
      },
      h('time', {}, time(event.at)),
      h('span', { class: 'type', title: event.type }, eventName(event.type)),
      h(
        'span',
        { class: 'where', title: event.path },
        from === undefined || event.kind === 'event' ? '' : `${from.name} → `,
        event.path,
      ),
      h(
        'span',
        { class: 'data' },
        event.handled === false ? 'not taken ' : '',
        event.data === undefined ? '' : short(event.data, 160),
      ),
    )
  }
}

export function toneOf(type) {
  if (/failed|error|dead|lost|refused/i.test(type)) return 'bad'
  if (/retry|restart|dropped|late|skipped/i.test(type)) return 'warn'
  if (/done|value|fellBack|ended|started/i.test(type)) return 'good'
  return ''
}

export const eventsBadge = (store) => count(store.seen)
