import type { CheerioAPI } from 'cheerio'
import { DomHandler, Parser } from 'htmlparser2'
import { DEEPEST, flatten } from './flat-markup.ts'
import type { FindLinks } from './found-links.ts'
import { queriesOf } from './query.ts'
import { isTrap } from './trap.ts'

/**
 * How a page is read. `html5` reads it as browsers do, whatever is wrong with it: selectors from a browser's tools fit,
 * as it too adds a `<tbody>` to a table. `fast` takes half the time, and broken markup as it stands. A page that is made
 * to be slow for `html5` is read by `fast` all the same, and what is nested deeper than browsers do is read flat.
 */
export type ParserKind = 'html5' | 'fast'

/** Makes the `$` of a page's text. */
export interface Parse {
  (html: string): CheerioAPI
  /** Finds the links that `$` would have, without making it. */
  readonly findLinks?: FindLinks | undefined
}

/** Loads a parser; a crawl that never parses pays for none. */
export async function loadParser(kind: ParserKind): Promise<Parse> {
  const { load: loadSlim } = await import('cheerio/slim')
  const { findFastLinks } = await import('./fast-links.ts')
  const queryFast = queriesOf(loadSlim as never)?.of ?? ((document: Document) => loadSlim(document as never))
  const loadFast = (html: string): CheerioAPI => queryFast(parseShallow(html))
  if (kind === 'fast') return Object.assign(loadFast, { findLinks: findFastLinks })
  const [{ load }, { findBrowserLinks }] = await Promise.all([import('cheerio'), import('./browser-links.ts')])
  const findLinks: FindLinks = (html) => (isTrap(html) ? undefined : findBrowserLinks(html))
  const adapter = (load('') as Internals)._options?.treeAdapter
  if (adapter === undefined) return Object.assign((html: string) => load(html), { findLinks })
  const guard = guarded(adapter)
  const options = { treeAdapter: guard.adapter } as never
  const queries = queriesOf(load as never, options)
  const loadWhole = (html: string): CheerioAPI =>
    queries === undefined ? load(html, options) : queries.of(queries.parse(html))
  const read = (html: string): CheerioAPI =>
    unlessTrap(
      () => guard.during(html.length, () => loadWhole(html)),
      () => loadFast(html),
    )
  return Object.assign(read, { findLinks })
}

/** A page costs its parser more than its length: it is made for that. */
class Trap extends Error {}

function unlessTrap<Result>(read: () => Result, otherwise: () => Result): Result {
  try {
    return read()
  } catch (error) {
    if (error instanceof Trap) return otherwise()
    throw error
  }
}

/** What cheerio 1.2 hands on to parse5 8, and what of that stands in the way of a trap. */
interface Internals {
  readonly _options?: { readonly treeAdapter?: TreeAdapter }
}

interface TreeAdapter {
  createElement(...given: unknown[]): unknown
}

/**
 * A parser of HTML5 looks through all open elements at each tag, and opens formatting that was left open anew in each
 * paragraph: 100 000 tags in each other took it 66 s. It tells of each element that it makes and opens.
 */
function guarded(adapter: TreeAdapter): Guarded {
  // Of what a handler makes by `$` later neither is counted: it is no page.
  let depth = -Infinity
  let left = Infinity
  const counting = {
    ...adapter,
    createElement: (tagName: unknown, namespace: unknown, attributes: unknown): unknown => {
      left -= 1
      if (left < 0) throw new Trap()
      return adapter.createElement(tagName, namespace, attributes)
    },
    onItemPush: (): void => {
      depth += 1
      if (depth > DEEPEST) throw new Trap()
    },
    onItemPop: (): void => {
      depth -= 1
    },
  }
  // One for all pages: the parser is compiled for it once, and a page is parsed in one go.
  return {
    adapter: counting,
    during: (length, parse) => {
      depth = 0
      left = length / 2 + 1000 // no tag is shorter, but for those that are made without one
      try {
        return parse()
      } finally {
        depth = -Infinity
        left = Infinity
      }
    },
  }
}

interface Guarded {
  readonly adapter: TreeAdapter
  /** Parses a page of that length. */
  during<Result>(length: number, parse: () => Result): Result
}

/** The fast parser looks through all open tags at each end, too. */
class ShallowHandler extends DomHandler {
  override onopentag(name: string, attribs: Record<string, string>): void {
    super.onopentag(name, attribs)
    if (this.tagStack.length > DEEPEST + 1) throw new Trap() // the document itself is one
  }
}

type Document = DomHandler['root']

function parseShallow(html: string): Document {
  return withFewRoots(
    unlessTrap(
      () => parseBy(new ShallowHandler(), html),
      () => parseBy(new DomHandler(), flatten(html)),
    ),
  )
}

function parseBy(handler: DomHandler, html: string): Document {
  new Parser(handler).end(html)
  return handler.root
}

/** A page without an `<html>` has as many roots as it likes: cheerio 1.2 compares each with each other at every look. */
const MOST_ROOTS = 1000

function withFewRoots(document: Document): Document {
  if (document.children.length <= MOST_ROOTS) return document
  const framed = parseBy(new DomHandler(), '<html>')
  const [html] = framed.children as [Document['children'][number] & { children: Document['children'] }]
  html.children = document.children
  for (const child of html.children) child.parent = html as never
  return framed
}
