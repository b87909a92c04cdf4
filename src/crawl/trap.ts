import { DEEPEST } from './flat-markup.ts'

/** Shorter pages cannot hold enough tags to matter. */
const SHORTEST_TRAP = 16 * 1024

/** Elements the parser may have to make anew, over what the page has. */
const MOST_REMADE = 2_000_000

/**
 * Whether a page would cost a parser of HTML5 more than its length: it looks through all open elements at each tag, and
 * opens formatting that was left open anew in each paragraph. 100 000 tags in each other took it 66 s, the fast one 1 s.
 */
export function isTrap(html: string): boolean {
  if (html.length < SHORTEST_TRAP) return false
  let tags = 0
  let open = 0
  let formatting = 0
  let mostFormatting = 0
  for (let at = html.indexOf('<'); at !== -1; at = html.indexOf('<', at)) {
    const isEnd = html.charCodeAt(at + 1) === SLASH
    const from = isEnd ? at + 2 : at + 1
    at = endOfName(html, from)
    if (at === from) continue
    const name = html.slice(from, at)
    const kind = kindOf.get(name) ?? kindOf.get(name.toLowerCase())
    const step = isEnd ? -1 : 1
    tags += 1
    if (kind === 'formats') formatting = Math.max(0, formatting + step)
    else if (kind === undefined) open = Math.max(0, open + step)
    mostFormatting = Math.max(mostFormatting, formatting)
    if (open + formatting > DEEPEST) return true
  }
  return mostFormatting * tags > MOST_REMADE
}

const SLASH = 47

/** Where the name of a tag ends that begins there: letters, then also digits. */
function endOfName(html: string, from: number): number {
  let at = from
  for (;;) {
    const code = html.charCodeAt(at)
    const isLetter = (code | 0x20) >= 97 && (code | 0x20) <= 122
    if (!isLetter && (at === from || code < 48 || code > 57)) return at
    at += 1
  }
}

const formats = 'a b big code em font i nobr s small strike strong tt u'

/** Elements without content, and those that the next one of their kind closes. */
const closeThemselves =
  'area base br col embed hr img input link meta param source track wbr html head body ' +
  'p li dt dd option optgroup tr td th thead tbody tfoot colgroup caption rp rt'

const kindOf: ReadonlyMap<string, 'formats' | 'closes itself'> = new Map([
  ...formats.split(' ').map((name) => [name, 'formats'] as const),
  ...closeThemselves.split(' ').map((name) => [name, 'closes itself'] as const),
])
