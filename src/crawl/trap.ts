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
  const tag = /<(\/?)([a-z][a-z0-9]*)/gi
  let tags = 0
  let open = 0
  let formatting = 0
  let mostFormatting = 0
  for (let found = tag.exec(html); found !== null; found = tag.exec(html)) {
    const [, slash, name = ''] = found
    const lower = name.toLowerCase()
    const step = slash === '' ? 1 : -1
    tags += 1
    if (formats.has(lower)) formatting = Math.max(0, formatting + step)
    else if (!closeThemselves.has(lower)) open = Math.max(0, open + step)
    mostFormatting = Math.max(mostFormatting, formatting)
    if (open + formatting > DEEPEST) return true
  }
  return mostFormatting * tags > MOST_REMADE
}

const formats: ReadonlySet<string> = new Set('a b big code em font i nobr s small strike strong tt u'.split(' '))

/** Elements without content, and those that the next one of their kind closes. */
const closeThemselves: ReadonlySet<string> = new Set(
  (
    'area base br col embed hr img input link meta param source track wbr html head body ' +
    'p li dt dd option optgroup tr td th thead tbody tfoot colgroup caption rp rt'
  ).split(' '),
)
