import { changesOf } from './diff.js'
import { find, h } from './dom.js'

/** Context, input, output and error of the selected node, and what the last step changed. */
export class ContextView {
  #place = find('context')
  #shown
  #folded = new Set()
  #opened = new Set()

  show(node, detail, before) {
    if (detail === this.#shown && detail !== undefined) return
    this.#shown = detail
    if (node === undefined || detail === undefined) {
      const text =
        node?.isEnded === true
          ? 'It was over before anybody looked at it. The record of a job stands under Job.'
          : 'Context, input and output of what you select show up here.'
      if (this.#place.textContent === text) return
      return this.#place.replaceChildren(h('p', { class: 'empty' }, text))
    }
    const changes = before === undefined ? [] : changesOf(before.context, detail.context)
    const parts = [
      this.#section('Context', detail.context, 'context'),
      changes.length === 0
        ? undefined
        : h('section', {}, h('h3', {}, 'What changed'), h('ul', { class: 'changes' }, ...changes.map(changeLine))),
      this.#section('Error', detail.error, 'error'),
      this.#section('Output', detail.output, 'output'),
      this.#section('Input', detail.input, 'input'),
    ].filter((part) => part !== undefined)
    if (parts.length === 0) parts.push(h('p', { class: 'empty' }, 'It has no context, and neither input nor output.'))
    const { scrollTop } = this.#place
    this.#place.replaceChildren(...parts)
    this.#place.scrollTop = scrollTop
    return undefined
  }

  #section(title, value, path) {
    if (value === undefined) return undefined
    const body =
      path === 'error' && typeof value === 'object' && value?.message !== undefined
        ? h(
            'div',
            { class: 'error-box' },
            h('b', {}, `${value.name ?? 'Error'}: ${value.message}`),
            h('pre', {}, value.stack ?? ''),
          )
        : this.#value(undefined, value, path, 0)
    return h('section', {}, h('h3', {}, title), body)
  }

  #value(key, value, path, depth) {
    const label = key === undefined ? undefined : h('span', { class: 'key' }, `${key}: `)
    if (typeof value !== 'object' || value === null) return h('div', { class: 'leaf' }, label, leaf(value))
    const entries = Object.entries(value)
    if (entries.length === 0)
      return h('div', { class: 'leaf' }, label, h('span', { class: 'hint' }, Array.isArray(value) ? '[]' : '{}'))
    const isOpen = depth < 2 ? !this.#folded.has(path) : this.#opened.has(path)
    const size = `${entries.length} ${Array.isArray(value) ? 'item' : 'key'}${entries.length === 1 ? '' : 's'}`
    const details = h('details', { open: isOpen }, h('summary', {}, label, h('span', { class: 'hint' }, size)))
    const fill = () =>
      details.append(...entries.map(([name, part]) => this.#value(name, part, `${path}.${name}`, depth + 1)))
    if (isOpen) fill()
    details.addEventListener('toggle', () => {
      if (details.open && details.childElementCount === 1) fill()
      const [added, removed] = details.open ? [this.#opened, this.#folded] : [this.#folded, this.#opened]
      added.add(path)
      removed.delete(path)
    })
    return details
  }
}

function changeLine({ path, before, after }) {
  return h(
    'li',
    {},
    h('span', { class: 'key' }, path || 'context'),
    ' ',
    h('del', {}, short(before)),
    ' → ',
    h('ins', {}, short(after)),
  )
}

export function short(value, most = 80) {
  const text =
    value === undefined
      ? 'nothing'
      : typeof value === 'string'
        ? JSON.stringify(value)
        : (JSON.stringify(value) ?? 'nothing')
  return text.length > most ? `${text.slice(0, most - 1)}…` : text
}

export function leaf(value) {
  if (value === '[redacted]') return h('span', { class: 'redacted' }, 'redacted')
  return h(
    'span',
    { class: `value ${value === null ? 'null' : typeof value}` },
    typeof value === 'string' ? JSON.stringify(value) : String(value),
  )
}
