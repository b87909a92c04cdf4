import { find, h } from './dom.js'

export const keys = [
  ['/', 'search'],
  ['arrows', 'move in the tree'],
  ['Enter', 'select'],
  ['f', 'only failing'],
  ['p', 'pause'],
  ['1 … 6', 'views'],
  ['0', 'fit the chart'],
  ['+ −', 'zoom'],
  ['Esc', 'back'],
  ['?', 'this list'],
]

/** Keys of the whole page; none while somebody types. */
export function listenToKeys(actions) {
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') return actions.back()
    if (
      event.ctrlKey ||
      event.metaKey ||
      event.altKey ||
      /** @type {Element} */ (event.target).closest('input, select, textarea, dialog')
    )
      return undefined
    const action =
      actions[event.key] ?? (/^[1-6]$/.test(event.key) ? () => actions.view(Number(event.key) - 1) : undefined)
    if (action === undefined || action === actions.back || action === actions.view) return undefined
    event.preventDefault()
    return action()
  })
}

export function showKeys() {
  const dialog = find('dialog')
  dialog.replaceChildren(
    h('h2', {}, 'Keys'),
    h('dl', { class: 'keys' }, ...keys.flatMap(([key, what]) => [h('dt', {}, h('kbd', {}, key)), h('dd', {}, what)])),
    h('form', { method: 'dialog' }, h('button', { autofocus: true }, 'Close')),
  )
  dialog.showModal()
}

/** Asks before something is done; resolves with whether to do it. */
export function confirmIn(text) {
  const dialog = find('dialog')
  return new Promise((resolve) => {
    const answer = (is) => () => {
      dialog.close()
      resolve(is)
    }
    dialog.replaceChildren(
      h('p', {}, text),
      h(
        'div',
        { class: 'buttons' },
        h('button', { onclick: answer(false), autofocus: true }, 'Cancel'),
        h('button', { class: 'danger', onclick: answer(true) }, 'Yes'),
      ),
    )
    dialog.addEventListener('cancel', () => resolve(false), { once: true })
    dialog.showModal()
  })
}
