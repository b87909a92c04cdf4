import { Tokenizer, type TokenizerCallbacks } from 'htmlparser2'
import type { FoundLinks } from './found-links.ts'
import { TableNesting } from './table-nesting.ts'

/**
 * The links of a page as a browser's parser has them; undefined for a page where that parser may move, drop or read
 * something else than stands there. What is said of it here is the tree construction of the HTML standard: links stand
 * in the document as in the text unless they are in a table but in no cell, in a `select`, in `svg` and the like.
 */
export function findBrowserLinks(html: string): FoundLinks | undefined {
  if (html.includes('\0')) return undefined
  const scan = new Scan(html)
  const tokenizer = new Tokenizer({}, scan)
  scan.stop = () => tokenizer.pause()
  tokenizer.write(html)
  tokenizer.end()
  return scan.found
}

/** Elements whose content is text, up to their end tag, whatever stands in it. */
const textual = ['script', 'style', 'title', 'textarea', 'xmp', 'iframe', 'noembed', 'noframes', 'noscript']
const ends: ReadonlyMap<string, RegExp> = new Map(
  textual.map((name) => [name, new RegExp(`</${name}[\\t\\n\\f\\r />]`, 'gi')]),
)

const inSvg: ReadonlySet<string> = new Set(
  (
    'circle clippath defs ellipse filter g line lineargradient mask path pattern polygon polyline radialgradient ' +
    'rect stop symbol tspan use'
  ).split(' '),
)

/** What is inside of them stands elsewhere in the document, or nowhere. */
const opaque: ReadonlySet<string> = new Set(['template', 'frameset', 'frame', 'math', 'plaintext'])

class Scan implements TokenizerCallbacks {
  stop: () => void = () => {}
  readonly #html: string
  readonly #hrefs: string[] = []
  readonly #tables = new TableNesting()
  #base: string | undefined
  #isOff = false
  /** The tag that is open, if it may be a link or a base, or begins text. */
  #tag = ''
  #isHref = false
  #value = ''
  #href: string | undefined
  #text = ''
  /** Where the text begins, and where it ends. */
  #textFrom = 0
  #textEnd = -1
  #isInSelect = false
  #isInSvg = false

  constructor(html: string) {
    this.#html = html
  }

  get found(): FoundLinks | undefined {
    if (this.#isOff || this.#text !== '') return undefined
    return { hrefs: this.#hrefs, base: this.#base }
  }

  onopentagname(start: number, end: number): void {
    this.#tag = ''
    if (this.#text !== '') return this.#check(start < this.#textEnd)
    const name = this.#nameAt(start, end)
    this.#check(this.#mayOpen(name))
    this.#tag = name
    this.#href = undefined
  }

  onattribname(start: number, end: number): void {
    this.#value = ''
    this.#isHref = (this.#tag === 'a' || this.#tag === 'base') && this.#nameAt(start, end) === 'href'
  }

  onattribdata(start: number, end: number): void {
    if (this.#isHref) this.#value += this.#html.slice(start, end)
  }

  onattribentity(codepoint: number): void {
    if (this.#isHref) this.#value += String.fromCodePoint(codepoint)
  }

  onattribend(): void {
    if (this.#isHref) this.#href ??= this.#value
    this.#isHref = false
  }

  onopentagend(end: number): void {
    const name = this.#tag
    if (name === 'a' && this.#href !== undefined) this.#hrefs.push(this.#href)
    else if (name === 'base') this.#base ??= this.#href
    else if (ends.has(name)) this.#beginText(name, end)
    else if (name === 'svg') this.#isInSvg = true
  }

  onselfclosingtag(end: number): void {
    if (this.#tag === 'svg' || this.#isInSvg) return // only there the slash means something
    this.#check(!ends.has(this.#tag)) // the tokenizer would read on as if it did
    this.onopentagend(end)
  }

  onclosetag(start: number, end: number): void {
    const name = this.#nameAt(start, end)
    if (this.#text !== '') return this.#endText(name, start)
    this.#check(this.#html[start - 1] === '/' && isEnded(this.#html, end) && !name.includes('/'))
    if (name === 'svg') this.#isInSvg = false
    else if (name === 'select') this.#isInSelect = false
    else this.#check(this.#tables.close(name, this.#isInSelect || this.#isInSvg))
  }

  oncomment(start: number, end: number, offset: number): void {
    if (this.#text !== '') return
    const text = this.#html.slice(start, end - offset)
    this.#check(!text.startsWith('>') && !text.startsWith('->') && !text.includes('--!>'))
  }

  ondeclaration(start: number, end: number): void {
    this.#check(this.#text !== '' || (!this.#isInSvg && !this.#html.slice(start, end).includes('>')))
  }

  oncdata(): void {
    this.#check(this.#text !== '')
  }

  onprocessinginstruction(start: number, end: number): void {
    this.#check(this.#text !== '' || !this.#html.slice(start, end).includes('>'))
  }

  ontext(): void {}
  ontextentity(): void {}
  onend(): void {}

  #mayOpen(name: string): boolean {
    if (this.#isInSvg) return inSvg.has(name)
    if (this.#isInSelect) return name === 'option' || name === 'optgroup'
    if (opaque.has(name) || !this.#tables.open(name)) return false
    if (name === 'select') this.#isInSelect = true
    return true
  }

  #beginText(name: string, from: number): void {
    const end = ends.get(name) as RegExp
    end.lastIndex = from
    this.#text = name
    this.#textFrom = from
    this.#textEnd = end.exec(this.#html)?.index ?? Infinity
  }

  #endText(name: string, start: number): void {
    const at = start - 2
    if (at < this.#textEnd) return
    const isComment = this.#text === 'script' && this.#html.slice(this.#textFrom, at).includes('<!--')
    this.#check(at === this.#textEnd && name === this.#text && !isComment && isEnded(this.#html, start + name.length))
    this.#text = ''
  }

  #check(isSame: boolean): void {
    if (isSame) return
    this.#isOff = true
    this.stop()
  }

  #nameAt(start: number, end: number): string {
    return this.#html.slice(start, end).toLowerCase()
  }
}

/** Whether nothing but white space stands between the name of an end tag and its end. */
function isEnded(html: string, from: number): boolean {
  let at = from
  while (' \t\n\f\r'.includes(html[at] ?? '<')) at += 1
  return html[at] === '>'
}
