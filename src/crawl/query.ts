import type { CheerioAPI } from 'cheerio'
import type { DomHandler } from 'htmlparser2'

type Document = DomHandler['root']

/** As cheerio exports it, for one of its parsers. */
type Load = (content: string | Document, options?: object) => CheerioAPI

/** Makes documents as cheerio does, and the `$` of a document. */
export interface Queries {
  parse(html: string): Document
  of(document: Document): CheerioAPI
}

/**
 * cheerio makes a class for each document, so that what is added to `$.fn` stays with it. That takes as long as to parse a
 * small page, and all that is called on it is compiled for one class after the other. Here all documents have one, until
 * somebody reads `$.fn`; and what is seldom asked for is answered by cheerio's own `$` of the same document. Undefined
 * where cheerio is made otherwise than it was (1.2).
 */
export function queriesOf(load: Load, given?: object): Queries | undefined {
  const loaded = load('', given) as Loaded
  if (!isKnown(loaded)) return undefined
  const { fn, _options: options } = loaded
  const PageSelection = selectionClass(fn.constructor)
  const statics = staticsOf(loaded, (value, $) => PageSelection.isOf(value, $))

  function of(document: Document): CheerioAPI {
    let own: Ask | undefined
    let isExtended = false
    const openOwn = (): Ask => (own ??= load(document, given) as unknown as Ask)
    const $: Ask = (selector, context, from, more) => {
      const isUsual = from === undefined && more === undefined && !isExtended
      return (isUsual && ask(selector, context)) || openOwn()(selector, context, from, more)
    }
    const root = new PageSelection([document], null, options, $)
    root._root = root
    const select = (nodes: Nodes): Selection => new PageSelection(nodes, root, options, $)
    const ask = (selector: unknown, context: unknown): Selection | undefined => {
      if (typeof selector !== 'string') return isSelection(selector) ? selector : selectNodes(selector, select)
      if (selector === '' || selector.includes('<')) return undefined // nothing, or markup
      if (!context) return root.find(selector)
      const inside = isSelection(context) ? context : selectNodes(context, select)
      return inside?.find(selector)
    }
    const extend = (): Ask => {
      isExtended = true
      return openOwn()
    }
    return Object.assign(Object.setPrototypeOf($, statics) as CheerioAPI, { _root: document, [extendOf]: extend })
  }

  return { parse: (html) => fn._parse(html, options, true, null), of }
}

/** What the `$` of cheerio 1.2 has behind its types. */
interface Loaded extends CheerioAPI {
  readonly _options: object
  readonly fn: CheerioAPI['fn'] & {
    readonly constructor: SelectionClass
    _parse(html: string, options: object, isDocument: boolean, context: null): Document
  }
}

type Nodes = readonly unknown[]

interface Selection {
  _root: Selection | null
  prevObject: unknown
  find(selector: string): Selection
}

type SelectionClass = new (nodes: Nodes, root: Selection | null, options: object) => Selection

type Ask = (selector?: unknown, context?: unknown, from?: unknown, options?: unknown) => Selection

/** Gives cheerio's own `$`, which alone answers from then on. */
const extendOf: unique symbol = Symbol('extend')

interface Extensible {
  [extendOf](): CheerioAPI
}

function isKnown({ fn, _options }: Partial<Loaded>): boolean {
  const { constructor, _parse, _make } = (fn ?? {}) as { readonly [part: string]: unknown }
  return typeof _options === 'object' && [constructor, _parse, _make].every((part) => typeof part === 'function')
}

/** Selections that know which `$` they are of. */
function selectionClass(Base: SelectionClass) {
  return class PageSelection extends Base {
    readonly #ask: Ask

    constructor(nodes: Nodes, root: Selection | null, options: object, ask: Ask) {
      super(nodes, root, options)
      this.#ask = ask
    }

    static isOf(value: unknown, ask: unknown): boolean {
      return typeof value === 'object' && value !== null && #ask in value && value.#ask === ask
    }

    /** By it cheerio makes whatever follows from a selection. */
    _make(selector: unknown, context?: unknown): Selection {
      const made = this.#ask(selector, context)
      made.prevObject = this
      return made
    }
  }
}

/** What a function has of its own, and what each `$` has of its document. */
const ofOne: ReadonlySet<string> = new Set(['name', 'length', '_root', 'fn', 'prototype'])

/** What every `$` has besides being called. */
function staticsOf(loaded: Loaded, isSelected: (value: unknown, $: unknown) => boolean): object {
  const shared = Object.entries(Object.getOwnPropertyDescriptors(loaded)).filter(([name]) => !ofOne.has(name))
  return Object.create(Function.prototype, {
    ...Object.fromEntries(shared),
    fn: { get: getFn },
    prototype: { get: getFn }, // as jQuery has it
    [Symbol.hasInstance]: {
      value(this: Extensible, value: unknown): boolean {
        return isSelected(value, this) || value instanceof (this[extendOf]() as never)
      },
    },
  }) as object
}

function getFn(this: Extensible): CheerioAPI['fn'] {
  return this[extendOf]().fn
}

function isSelection(value: unknown): value is Selection {
  return typeof value === 'object' && value !== null && 'cheerio' in value
}

const kinds: ReadonlySet<unknown> = new Set(['root', 'text', 'comment'])

/** Undefined where it is none of what a document is made of. */
function selectNodes(given: unknown, select: (nodes: Nodes) => Selection): Selection | undefined {
  if (Array.isArray(given)) return select(given)
  if (typeof given !== 'object' || given === null) return undefined
  const { name, type } = given as { readonly name?: unknown; readonly type?: unknown }
  return (typeof name === 'string' && name !== '') || kinds.has(type) ? select([given]) : undefined
}
