import type { CheerioAPI } from 'cheerio'
import { Pool } from 'undici'
import { linksIn, linksOf, type Handling } from './handling.ts'

/** The loop one would write by hand: a set of URLs, a list, and as many at once as there are connections. */
export async function loop(
  site: string,
  handling: Handling,
  most: number,
  onPage: (done: number) => void,
): Promise<number> {
  const load = handling === 'plain' ? undefined : await loaderOf(handling)
  const pool = new Pool(site, { connections: 50 })
  const seen = new Set<string>([`${site}/page/0`])
  const queue = [...seen]
  let done = 0
  let running = 0
  await new Promise<void>((resolve, reject) => {
    const visit = async (url: string): Promise<void> => {
      const { body } = await pool.request({ path: new URL(url).pathname, method: 'GET' })
      const html = await body.text()
      const links = load === undefined ? linksIn(html, url) : linksOf(load(html), url)
      for (const link of links) {
        if (seen.has(link) || seen.size >= most) continue
        seen.add(link)
        queue.push(link)
      }
    }
    const pump = (): void => {
      while (running < 50) {
        const url = queue.shift()
        if (url === undefined) break
        running += 1
        const over = (): void => {
          running -= 1
          done += 1
          onPage(done)
          pump()
        }
        visit(url).then(over, reject)
      }
      if (running === 0) resolve()
    }
    pump()
  })
  await pool.close()
  return done
}

async function loaderOf(handling: 'fast' | 'html5' | 'links'): Promise<(html: string) => CheerioAPI> {
  const { load } = await (handling === 'html5' ? import('cheerio') : import('cheerio/slim'))
  return (html) => load(html)
}
