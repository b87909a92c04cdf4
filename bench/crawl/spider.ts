import { start } from 'rootcatch'
import { request, spider, type HandlerContext } from 'rootcatch/crawl'
import { linksIn, linksOf, type Handling } from './handling.ts'

const linksBy: Readonly<Record<Handling, (context: HandlerContext<unknown>) => readonly string[]>> = {
  plain: ({ page }) => linksIn(page.text, page.url),
  fast: ({ $, page }) => linksOf($, page.url),
  html5: ({ $, page }) => linksOf($, page.url),
  links: ({ links }) => links(),
}

/** The same site by a spider. */
export async function crawl(
  site: string,
  handling: Handling,
  most: number,
  onPage: (done: number) => void,
): Promise<number> {
  let done = 0
  const pages = spider('pages', {
    start: [request('page', `${site}/page/0`)],
    concurrency: 50,
    perHost: { concurrency: 50 },
    maxRequests: most,
    robots: false,
    allowPrivate: ['127.0.0.1'],
    parser: handling === 'html5' ? 'html5' : 'fast',
  })
  pages.on('page', (context) => {
    const links = linksBy[handling](context)
    done += 1
    onPage(done)
    return links.map((link) => context.request.follow('page', link))
  })
  await using system = await start(pages)
  const { requests } = await system.run(pages)
  return requests
}
