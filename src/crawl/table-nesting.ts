type Place = 'table' | 'section' | 'row' | 'cell'

/** What may stand in a table besides its own parts without being moved out of it. */
const harmless: ReadonlySet<string> = new Set(['script', 'style', 'form'])

/**
 * Where in the tables of a page its text is. What stands in a table but in no cell is moved before the table by a
 * browser's parser, and what is open there decides about more: such a page is not followed.
 */
export class TableNesting {
  readonly #places: Place[] = []

  /** A start tag; false where its element would not stand where it is. */
  open(name: string): boolean {
    const at = this.#places.at(-1)
    switch (name) {
      case 'table':
        if (at !== undefined && at !== 'cell') return false
        this.#places.push('table')
        return true
      case 'caption':
        return this.#go(at === 'table', 'cell')
      case 'col':
      case 'colgroup':
        return at === undefined || at === 'table'
      case 'thead':
      case 'tbody':
      case 'tfoot':
        return this.#go(true, 'section')
      case 'tr':
        return this.#go(true, 'row')
      case 'td':
      case 'th':
        return this.#go(true, 'cell')
      default:
        return at === undefined || at === 'cell' || harmless.has(name)
    }
  }

  /** An end tag; false where what it ends is not known, as `isHidden` by something that swallows it or not. */
  close(name: string, isHidden: boolean): boolean {
    const to = outOf[name]
    if (to === undefined || this.#places.length === 0) return true
    if (isHidden) return false
    if (name === 'table') this.#places.pop()
    else this.#places[this.#places.length - 1] = to
    return true
  }

  #go(isAllowed: boolean, to: Place): boolean {
    if (this.#places.length === 0) return true // ignored where there is no table
    if (isAllowed) this.#places[this.#places.length - 1] = to
    return isAllowed
  }
}

/** Where an end tag leads. */
const outOf: Readonly<Record<string, Place | undefined>> = Object.assign(
  Object.create(null) as Record<string, Place | undefined>,
  {
    table: 'table',
    caption: 'table',
    colgroup: 'table',
    thead: 'table',
    tbody: 'table',
    tfoot: 'table',
    tr: 'section',
    td: 'row',
    th: 'row',
  },
)
