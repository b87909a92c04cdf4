/** An element. Text is only ever text: there is no way from a value to markup. */
export function h(name, props = {}, ...children) {
  return fill(document.createElement(name), props, children)
}

const SVG = 'http://www.w3.org/2000/svg'

export function svg(name, props = {}, ...children) {
  return fill(document.createElementNS(SVG, name), props, children)
}

function fill(element, props, children) {
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value)
    else if (key === 'data') Object.assign(element.dataset, value)
    else element.setAttribute(key, value === true ? '' : String(value))
  }
  for (const child of children.flat()) {
    if (child === undefined || child === null || child === false) continue
    element.append(typeof child === 'object' ? child : visible(String(child)))
  }
  return element
}

/** @type {{ (id: 'search' | 'under'): HTMLInputElement, (id: 'dialog'): HTMLDialogElement, (id: string): HTMLElement }} */
export const find = (id) => /** @type {any} */ (document.getElementById(id))

/** Sets a text only where it changed, so that nothing is laid out for nothing. */
export function setText(element, text) {
  const shown = visible(text)
  if (element.textContent !== shown) element.textContent = shown
}

/** What turns a line around, or shows as nothing, would let a name pass for another one. */
export function visible(text) {
  return UNSEEN.test(text) ? text.replaceAll(ALL_UNSEEN, '\uFFFD') : text
}

const UNSEEN = /[\p{Bidi_Control}\p{Cc}\u200B\u2060\uFEFF]/u
const ALL_UNSEEN = /(?![\n\t])[\p{Bidi_Control}\p{Cc}\u200B\u2060\uFEFF]/gu

export function setClass(element, name) {
  if (element.getAttribute('class') !== name) element.setAttribute('class', name)
}

export function duration(ms) {
  if (ms === undefined || ms === null || Number.isNaN(ms)) return ''
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1_000)} s`
  if (ms < 86_400_000) return `${Math.floor(ms / 3_600_000)} h ${Math.floor((ms % 3_600_000) / 60_000)} min`
  return `${Math.floor(ms / 86_400_000)} d ${Math.floor((ms % 86_400_000) / 3_600_000)} h`
}

const two = (number) => String(number).padStart(2, '0')

export function time(at, withMs = true) {
  const date = new Date(at)
  const text = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  return withMs ? `${text}.${String(date.getMilliseconds()).padStart(3, '0')}` : text
}

export function count(number) {
  if (number === undefined) return ''
  if (number < 10_000) return String(number)
  if (number < 1_000_000) return `${(number / 1_000).toFixed(number < 100_000 ? 1 : 0)}k`
  return `${(number / 1_000_000).toFixed(1)}M`
}

/** How an event of XState's own is called here. */
export function eventName(type) {
  const [, kind, rest] = /^xstate\.(done\.actor|error\.actor|done\.state|after|init|stop)\.?(.*)$/.exec(type) ?? []
  switch (kind) {
    case 'done.actor':
      return `done ${rest}`
    case 'error.actor':
      return `error ${rest}`
    case 'done.state':
      return 'done'
    case 'after': {
      const ms = Number(rest.split('.')[0])
      return Number.isFinite(ms) ? `after ${duration(ms)}` : `after ${rest.split('.')[0]}`
    }
    case 'init':
      return 'started'
    case 'stop':
      return 'stop'
    default:
      return type === '' ? 'always' : type
  }
}

/** What a filter field means: a part of a text, or `/a pattern/`. One that is not finished finds everything. */
export function matcher(text) {
  const trimmed = text.trim()
  if (trimmed === '') return () => true
  const [, pattern, flags] = /^\/(.+)\/([iu]*)$/.exec(trimmed) ?? []
  if (pattern !== undefined) {
    try {
      const expression = new RegExp(pattern, flags.includes('i') ? flags : `${flags}i`)
      return (value) => expression.test(value)
    } catch {
      return () => true
    }
  }
  const wanted = trimmed.toLowerCase()
  return (value) => value.toLowerCase().includes(wanted)
}
