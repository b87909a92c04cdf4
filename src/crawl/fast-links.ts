import { Parser } from 'htmlparser2'
import type { FoundLinks } from './found-links.ts'

/** The links of a page as the fast parser has them: its document is made of the very same events. */
export function findFastLinks(html: string): FoundLinks {
  const hrefs: string[] = []
  let base: string | undefined
  const onTag = (name: string, { href }: { readonly [name: string]: string }): void => {
    if (href === undefined) return
    if (name === 'a') hrefs.push(href)
    else base ??= href
  }
  const events: { onopentag?: typeof onTag | undefined; onopentagname(name: string): void } = {
    onopentag: undefined,
    // Attributes are gathered only where somebody listens to the tag, and that is asked for each.
    onopentagname: (name) => (events.onopentag = name === 'a' || name === 'base' ? onTag : undefined),
  }
  new Parser(events as { onopentagname(name: string): void }).end(html)
  return { hrefs, base }
}
