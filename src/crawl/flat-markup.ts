import { Tokenizer } from 'htmlparser2'

/** Browsers stop to nest here, too. */
export const DEEPEST = 512

/**
 * Markup that nests no deeper than a browser would: what is deeper stands beside its parent, and ends of what was never
 * begun are left out. Who reads it looks through few open tags at each one, however it was made.
 */
export function flatten(html: string): string {
  const flat = new Flattening(html)
  const tokenizer = new Tokenizer({ decodeEntities: false }, flat)
  tokenizer.write(html)
  tokenizer.end()
  return flat.rest()
}

/** How many of a name are open, and how many were ended here, whose own ends are still to come. */
interface Count {
  open: number
  ended: number
}

class Flattening {
  readonly #html: string
  readonly #kept: string[] = []
  readonly #open: string[] = []
  readonly #counts = new Map<string, Count>()
  #from = 0

  constructor(html: string) {
    this.#html = html
  }

  rest(): string {
    return [...this.#kept, this.#html.slice(this.#from)].join('')
  }

  onopentagname(start: number, end: number): void {
    const name = this.#html.slice(start, end).toLowerCase()
    if (withoutContent.has(name)) return
    const closes = closedBy.get(name)
    while (closes?.has(this.#open.at(-1) ?? '') === true) this.#pop()
    if (this.#open.length >= DEEPEST) this.#endInnermost(start - 1)
    this.#countOf(name).open += 1
    this.#open.push(name)
  }

  onclosetag(start: number, end: number): void {
    const name = this.#html.slice(start, end).toLowerCase()
    if (withoutContent.has(name)) return
    const count = this.#countOf(name)
    if (count.ended > 0) count.ended -= 1
    else if (count.open > 0) return this.#popTo(name)
    const last = this.#html.indexOf('>', end)
    this.#keepUntil(this.#html.lastIndexOf('<', start))
    this.#kept.push('<!---->') // or what stands before and behind it might be a tag together
    this.#from = last === -1 ? this.#html.length : last + 1
  }

  /** What would stand in it stands beside it. */
  #endInnermost(at: number): void {
    this.#keepUntil(at)
    const name = this.#pop()
    this.#kept.push(`</${name}>`)
    this.#countOf(name).ended += 1
  }

  #popTo(name: string): void {
    while (this.#pop() !== name);
  }

  #pop(): string {
    const name = this.#open.pop() as string
    this.#countOf(name).open -= 1
    return name
  }

  #keepUntil(at: number): void {
    if (at > this.#from) this.#kept.push(this.#html.slice(this.#from, at))
    this.#from = Math.max(this.#from, at)
  }

  #countOf(name: string): Count {
    let count = this.#counts.get(name)
    if (count === undefined) this.#counts.set(name, (count = { open: 0, ended: 0 }))
    return count
  }

  onattribdata(): void {}
  onattribend(): void {}
  onattribentity(): void {}
  onattribname(): void {}
  oncdata(): void {}
  oncomment(): void {}
  onopentagend(): void {}
  onselfclosingtag(): void {}
  ondeclaration(): void {}
  onend(): void {}
  onprocessinginstruction(): void {}
  ontext(): void {}
  ontextentity(): void {}
}

/** Elements without content, and those whose content is no markup. */
const withoutContent: ReadonlySet<string> = new Set(
  'area base basefont br col command embed frame hr img input isindex keygen link meta param source track wbr script style title textarea'.split(
    ' ',
  ),
)

const both = (...names: string[]): ReadonlySet<string> => new Set(names)

/** What an element closes where that is the innermost one; no more of it than every parser agrees on. */
const closedBy: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['p', both('p')],
  ['li', both('li')],
  ['dt', both('dt', 'dd')],
  ['dd', both('dt', 'dd')],
  ['option', both('option')],
  ['td', both('td', 'th')],
  ['tr', both('tr', 'td', 'th')],
  ['rt', both('rt', 'rp')],
  ['rp', both('rt', 'rp')],
])
