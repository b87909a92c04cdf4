import { Parser } from 'htmlparser2'
import { DEEPEST } from './flat-markup.ts'
import type { FoundLinks } from './found-links.ts'

/** It nests deeper than it is read. */
class TooDeep extends Error {}

/** The links of a page as the fast parser has them: its document is made of the very same events. */
export function findFastLinks(html: string): FoundLinks | undefined {
  try {
    return readLinks(html)
  } catch (error) {
    if (error instanceof TooDeep) return undefined
    throw error
  }
}

function readLinks(html: string): FoundLinks {
  let depth = 0
  const hrefs: string[] = []
  let base: string | undefined
  const onTag = (name: string, { href }: { readonly [name: string]: string }): void => {
    if (href === undefined) return
    if (name === 'a') hrefs.push(href)
    else base ??= href
  }
  const events: { onopentag?: typeof onTag | undefined; onopentagname(name: string): void; onclosetag(): void } = {
    onopentag: undefined,
    // Attributes are gathered only where somebody listens to the tag, and that is asked for each.
    onopentagname: (name) => {
      depth += 1
      if (depth > DEEPEST) throw new TooDeep()
      events.onopentag = name === 'a' || name === 'base' ? onTag : undefined
    },
    onclosetag: () => {
      depth -= 1
    },
  }
  new Parser(events as { onopentagname(name: string): void }).end(html)
  return { hrefs, base }
}
