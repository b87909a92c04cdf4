import fc from 'fast-check'
import robotsParser from 'robots-parser'
import { describe, expect, test } from 'vitest'
import { StatusError } from '../../src/crawl/errors.ts'
import type { Outcome } from '../../src/crawl/fetching.ts'
import { Robots } from '../../src/crawl/robots.ts'
import { parseRobots } from '../../src/crawl/robots-rules.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'
import { website } from '../../src/testing/website.ts'
import { localFetcher } from './fetching.ts'

type Parser = (url: string, text: string) => { isAllowed(url: string, agent: string): boolean | undefined }
const otherParser = robotsParser as unknown as Parser
const at = (path: string): string => `https://a.example${path}`
const answer = (status: number, body: string): Outcome => {
  const response = {
    url: at('/robots.txt'),
    status,
    headers: {},
    body: Buffer.from(body),
    redirects: [],
    fromCache: false,
    proxy: undefined,
    wireBytes: 0,
  }
  const error = new StatusError({ url: at('/robots.txt'), status })
  return status === 404 || status < 300
    ? { kind: 'page', response }
    : { kind: 'error', error, response, proxy: undefined }
}

describe('parseRobots', () => {
  test.each<[rules: string, path: string, allowed: boolean]>([
    ['Disallow: /', '/a', false],
    ['Disallow:', '/a', true],
    ['Disallow: /a', '/b', true],
    ['Disallow: /a\nAllow: /a/b', '/a/b/c', true],
    ['Allow: /a\nDisallow: /a', '/a', true],
    ['Disallow: /*.gif$', '/x.gif', false],
    ['Disallow: /*.gif$', '/x.gif?a', true],
    ['Disallow: /a*b*c', '/axxbxxc/d', false],
    ['Disallow: /a*b*c', '/axxcxxb', true],
    ['Disallow: /a$', '/a', false],
    ['Disallow: /a$', '/ab', true],
    ['Disallow: *a*a$', '/xa', true],
    ['Disallow: /caf%C3%A9', '/café', false],
    ['Disallow: /café', '/caf%c3%a9', false],
    ['Disallow: /%7Eme', '/~me', false],
    ['Disallow: /a?b=', '/a?b=1', false],
    ['DISALLOW : /a # why', '/a', false],
    ['Disallow: /', '/robots.txt', true],
  ])('%j of %s: %s', (rules, path, allowed) => {
    expect(parseRobots(`\ufeffUser-agent: *\n${rules}\n`, 'rootcatch').allows(at(path))).toBe(allowed)
  })

  test('takes the groups that name the crawler, all of them, and only then not those for everybody', () => {
    const text =
      'User-agent: *\nDisallow: /all\nUser-agent: other\nUser-agent: RootCatch/2\nDisallow: /one\nCrawl-delay: 2.5\n\nUser-agent: rootcatch\nDisallow: /two\n'
    const rules = parseRobots(text, 'rootcatch/1.0 (+https://a.example)')
    expect(['/all', '/one', '/two'].map((path) => rules.allows(at(path)))).toEqual([true, false, false])
    expect(rules.crawlDelay).toBe(2500)
    expect(parseRobots(text, 'else').allows(at('/all'))).toBe(false)
    expect(parseRobots('User-agent: *\nCrawl-delay: 86400', 'x').crawlDelay).toBe(30_000)
    expect(parseRobots('Sitemap: https://a.example/s.xml\n', 'x').sitemaps).toEqual(['https://a.example/s.xml'])
  })

  test('says the same as another parser, for all rules and paths', () => {
    const path = fc
      .array(fc.constantFrom('/', 'a', 'b', '*', '.'), { maxLength: 8 })
      .map((parts) => `/${parts.join('')}`)
    const rule = fc
      .tuple(fc.constantFrom('Allow', 'Disallow'), path, fc.constantFrom('', '$'))
      .map(([key, value, end]) => `${key}: ${value}${end}`)
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 6 }), path, (rules, target) => {
        fc.pre(!rules.some((one) => one.includes('**'))) // the other one counts `**` as longer than `*`
        const text = `User-agent: *\n${rules.join('\n')}\n`
        const url = at(target.replaceAll('*', 'x'))
        const theirs = otherParser(at('/robots.txt'), text).isAllowed(url, 'rootcatch') ?? true
        expect([text, url, parseRobots(text, 'rootcatch').allows(url)]).toEqual([text, url, theirs])
      }),
    )
  })

  test('reads half a megabyte of many agents, many rules and many wildcards at once', () => {
    const agents = Array.from({ length: 10_000 }, (_, index) => `User-agent: bot${index}\n`).join('')
    const text = `${agents}User-agent: *\n${'Disallow: /*a*a*a*a*a*a*b\n'.repeat(10_000)}`
    const started = performance.now()
    expect(parseRobots(text, 'rootcatch').allows(at(`/${'a'.repeat(5000)}`))).toBe(true)
    expect(performance.now() - started).toBeLessThan(3000)
  })
})

describe('Robots', () => {
  const robots = (answers: Outcome[], clock = manualClock()) => {
    const asked: string[] = []
    const fetch = async ({ url }: { readonly url: string }): Promise<Outcome> => {
      asked.push(url)
      return answers.length > 1 ? (answers.shift() as Outcome) : (answers[0] as Outcome)
    }
    return { asked, clock, robots: new Robots({ fetch, agent: 'rootcatch', clock, random: () => 0 }) }
  }

  test('asks once per origin and day, also when many ask at once', async () => {
    const { asked, clock, robots: site } = robots([answer(200, 'User-agent: *\nDisallow: /no\nCrawl-delay: 1')])
    const verdicts = await Promise.all([at('/a'), at('/no'), at('/b')].map((url) => site.check(url)))
    expect(verdicts.map(({ kind }) => kind)).toEqual(['allowed', 'denied', 'allowed'])
    expect(verdicts[0]).toEqual({ kind: 'allowed', crawlDelay: 1000 })
    expect(site.check(at('/c'))).not.toBeInstanceOf(Promise)
    await clock.advance('23h')
    await site.check(at('/'))
    expect(asked).toEqual([at('/robots.txt')])
    await site.check('http://a.example/')
    await clock.advance('1h')
    await site.check(at('/'))
    expect(asked).toEqual([at('/robots.txt'), 'http://a.example/robots.txt', at('/robots.txt')])
  })

  test.each([400, 401, 403, 404, 410])('allows all after %i', async (status) => {
    expect(await robots([answer(status, 'Disallow: /')]).robots.check(at('/'))).toMatchObject({ kind: 'allowed' })
  })

  test('allows nothing after a 5xx or without an answer, and asks again with a backoff', async () => {
    const { asked, clock, robots: site } = robots([answer(500, ''), answer(503, ''), answer(200, '')])
    expect(await site.check(at('/'))).toEqual({ kind: 'unknown', retryIn: 5000 })
    await clock.advance('4s')
    expect(await site.check(at('/'))).toEqual({ kind: 'unknown', retryIn: 1000 })
    expect(asked).toHaveLength(1)
    await clock.advance('1s')
    expect(await site.check(at('/'))).toEqual({ kind: 'unknown', retryIn: 10_000 })
    await clock.advance('10s')
    expect(await site.check(at('/'))).toMatchObject({ kind: 'allowed' })
  })

  test('reads the file of a real site by the crawl’s own fetcher, whose guard holds for it', async () => {
    await using site = await website({ robots: 'User-agent: *\nDisallow: /account\n' })
    await using fetcher = localFetcher()
    const clock = manualClock()
    const real = new Robots({ fetch: (asked, options) => fetcher.fetch(asked, options), agent: 'x', clock })
    expect(await real.check(`${site.url}/account`)).toEqual({ kind: 'denied' })
    expect(await real.check(`${site.url}/shop/1`)).toMatchObject({ kind: 'allowed' })
    expect(site.count('/robots.txt')).toBe(1)
    await using closed = localFetcher({ allowPrivate: false })
    const guarded = new Robots({ fetch: (asked, options) => closed.fetch(asked, options), agent: 'x', clock })
    expect(await guarded.check(site.url)).toMatchObject({ kind: 'unknown' })
    expect(site.count('/robots.txt')).toBe(1)
  })
})
