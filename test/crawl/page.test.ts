import fc from 'fast-check'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { decodeText } from '../../src/crawl/charset.ts'
import { SelectorError } from '../../src/crawl/errors.ts'
import { flatten } from '../../src/crawl/flat-markup.ts'
import { Page } from '../../src/crawl/page.ts'
import { loadParser, type ParserKind } from '../../src/crawl/parser.ts'
import { request, type CrawlRequest } from '../../src/crawl/request.ts'
import { website } from '../../src/testing/website.ts'
import { fetchOnce, pageOf } from './fetching.ts'

const html5 = await loadParser('html5')
const parsers: Readonly<Record<ParserKind, Awaited<ReturnType<typeof loadParser>>>> = {
  html5,
  fast: await loadParser('fast'),
}
const url = 'https://books.example/shop/1?a=b'

function pageOfText(
  body: string | Buffer,
  type = 'text/html',
  options: { kind?: ParserKind; asked?: CrawlRequest } = {},
): Page {
  const { kind = 'html5', asked = request('list', url) } = options
  const response = {
    url,
    status: 200,
    headers: { 'content-type': type },
    body: Buffer.from(body as string),
    redirects: [],
    fromCache: false,
    proxy: undefined,
    wireBytes: 0,
  }
  return new Page(response, asked, parsers[kind])
}

describe('$', () => {
  test('is parsed at the first look, and once', () => {
    let parsed = 0
    const response = {
      url,
      status: 200,
      headers: {},
      body: Buffer.from('<h1>One</h1>'),
      redirects: [],
      fromCache: false,
      proxy: undefined,
      wireBytes: 0,
    }
    const page = new Page(response, request('a', url), (html) => ((parsed += 1), html5(html)))
    expect(page.text).toBe('<h1>One</h1>')
    expect(parsed).toBe(0)
    expect([page.$('h1').text(), page.$('h1').length, parsed]).toEqual(['One', 1, 1])
  })

  test.each<ParserKind>(['html5', 'fast'])('of an empty page is an empty document (%s)', (kind) => {
    expect(pageOfText('', undefined, { kind }).$('a, h1').length).toBe(0)
    expect(pageOfText('', undefined, { kind }).links()).toEqual([])
  })

  test('html5 reads as browsers do, fast as it stands', () => {
    const table = '<table><tr><td>x</table>'
    expect(pageOfText(table, undefined, { kind: 'html5' }).$('tbody').length).toBe(1)
    expect(pageOfText(table, undefined, { kind: 'fast' }).$('tbody').length).toBe(0)
  })

  describe.each<ParserKind>(['html5', 'fast'])('of a page made to be slow (%s)', (kind) => {
    test.each([
      ['100 000 tags in each other', '<div>'.repeat(100_000)],
      ['1 000 000 tags in each other', '<div>'.repeat(1_000_000)],
      ['tags in each other, of two kinds', '<ul><li>'.repeat(50_000)],
      ['tags that seem to be ended', '<div><!--</div>-->'.repeat(50_000)],
      ['tags that end where nobody looks', '<div><noscript></div></noscript>'.repeat(50_000)],
      ['tags in each other and ends of nothing', `${'<div>'.repeat(100_000)}${'</b>'.repeat(100_000)}`],
      ['ends of nothing', '</b>'.repeat(200_000)],
      ['tags beside each other', '<i>x</i>'.repeat(100_000)],
      ['tables in each other', '<table><tr><td>'.repeat(30_000)],
      ['attributes', `<p ${'a=b '.repeat(200_000)}>`],
      [
        'formatting that is never closed',
        `<p>${Array.from({ length: 500 }, (_, index) => `<b id=${index}>`).join('')}</p>${'<p>x'.repeat(20_000)}`,
      ],
    ])('%s: it is there soon, and can be looked at', (_what, trap) => {
      const before = process.cpuUsage().user
      const page = pageOfText(`<a href="/x">x</a>${trap}<p class="end">the end</p>`, undefined, { kind })
      expect(page.links()).toEqual(['https://books.example/x'])
      page.$.root().text()
      expect(page.$.html()).toContain('href="/x"')
      const cpu = (process.cpuUsage().user - before) / 1000 // of this process alone, whatever else the machine does
      expect(cpu).toBeLessThan(8_000)
    })
  })

  test.each<ParserKind>(['html5', 'fast'])(
    'of a page that nests deeper than browsers do has all that is in it, flat (%s)',
    (kind) => {
      const items = Array.from({ length: 2_000 }, (_, item) => `<font><a href="/${item}">${item}</a>`).join('')
      const page = pageOfText(`<div id="top">${items}<p class="end">end</p></div><p>after</p>`, undefined, { kind })
      expect(page.links()).toHaveLength(2_000)
      expect(page.$('.end').text()).toBe('end')
      expect(page.$('#top a').length).toBe(2_000)
    },
  )

  test('of other pages is what cheerio makes of them', async () => {
    const { load } = await import('cheerio')
    const { load: loadSlim } = await import('cheerio/slim')
    const pieces =
      '<p> </p> <b> </b> <table> <tr><td> <select><option> <script> </script> <!-- --> <div> </div> text &amp; <svg> < <br/> <title> </title>'
    const piece = fc.constantFrom(...pieces.split(' '))
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (parts) => {
        const html = parts.join('')
        expect(parsers.html5(html).html()).toBe(load(html).html())
        expect(parsers.fast(html).html()).toBe(loadSlim(html).html())
        expect(loadSlim(flatten(html)).text()).toBe(loadSlim(html).text())
      }),
    )
  })
})

describe('links', () => {
  const page = pageOfText(`
    <h3><a href="/book/2#top">2</a></h3> <h3><a href="book/1">1</a></h3> <h3><a href=" /book/2 ">2</a></h3>
    <a href="mailto:a@b.example">m</a><a href="javascript:x()">j</a><a href="">e</a><a href="http://[bad">b</a><a>n</a>
    <a href="//cdn.example/x">c</a><img src="/cover.png">`)

  test('are absolute http URLs in page order, each once', () => {
    expect(page.links('h3 a')).toEqual(['https://books.example/book/2', 'https://books.example/shop/book/1'])
    expect(page.links()).toEqual([...page.links('h3 a'), 'https://cdn.example/x'])
    expect(page.links('img')).toEqual(['https://books.example/cover.png'])
  })

  test.each([
    ['/base/', 'https://books.example/base/x'],
    ['https://cdn.example/', 'https://cdn.example/x'],
    ['javascript:void(0)', 'https://books.example/shop/x'],
  ])('are read against <base href="%s">, where that is a URL', (base, link) => {
    const based = pageOfText(`<base href="${base}"><a href="x">x</a>`)
    expect(based.links()).toEqual([link])
    expect(request('list', url).on(based).follow('book', 'x').url).toBe(link)
  })

  test('of a selector that is no CSS say so', () => {
    expect(() => page.links('a[')).toThrow(SelectorError)
    expect(() => page.links('a[')).toThrow('Write it as CSS.')
  })
})

describe('extract', () => {
  const page = pageOfText(`
    <h1> A  Book </h1><p class="price">5.99 €</p><img src="/cover.png"><ul><li class="tag">a</li><li class="tag">b</li></ul>
    <div class="review"><b>Ann</b><i>5</i></div><div class="review"><b>Bob</b></div>`)

  test('gives what stands there, typed by the fields', () => {
    const book = page.extract({
      title: 'h1',
      price: { at: '.price', as: Number.parseFloat },
      cover: 'img@src',
      tags: ['.tag'],
      lengths: [{ at: '.tag', as: (tag) => tag.length }],
      subtitle: 'h2?',
      stock: { at: '.stock?', as: Number },
      reviews: ['.review', { who: 'b', stars: 'i?' }],
    })
    expect(book).toEqual({
      title: 'A Book',
      price: 5.99,
      cover: 'https://books.example/cover.png',
      tags: ['a', 'b'],
      lengths: [1, 1],
      subtitle: undefined,
      stock: undefined,
      reviews: [
        { who: 'Ann', stars: '5' },
        { who: 'Bob', stars: undefined },
      ],
    })
    expectTypeOf(book.title).toEqualTypeOf<string>()
    expectTypeOf(book.price).toEqualTypeOf<number>()
    expectTypeOf(book.tags).toEqualTypeOf<readonly string[]>()
    expectTypeOf(book.lengths).toEqualTypeOf<readonly number[]>()
    expectTypeOf(book.subtitle).toEqualTypeOf<string | undefined>()
    expectTypeOf(book.stock).toEqualTypeOf<number | undefined>()
    expectTypeOf(book.reviews).toEqualTypeOf<readonly { readonly who: string; readonly stars: string | undefined }[]>()
  })

  test('of what is required and missing is a SelectorError with selector, field and URL', () => {
    const take = (): unknown => page.extract({ reviews: ['.review', { stars: 'i' }] })
    expect(take).toThrow(SelectorError)
    expect(take).toThrow(
      `https://books.example/shop/1?a=b has nothing at "i" for reviews[1].stars. Correct the selector`,
    )
    expect(() => page.extract({ cover: 'h1@src' })).toThrow(
      expect.objectContaining({ code: 'selector', selector: 'h1@src', url }),
    )
  })
})

describe('text', () => {
  const cyrillic = Buffer.from([0xcf, 0xf0, 0xe8, 0xe2, 0xe5, 0xf2])
  const meta = (charset: string): Buffer => Buffer.concat([Buffer.from(`<meta charset="${charset}">`), cyrillic])

  test.each<[string, Buffer, string | undefined, string | undefined, string]>([
    [
      'what was asked for',
      Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), cyrillic]),
      'text/html; charset=utf-8',
      'windows-1251',
      'п»їПривет',
    ],
    ['the byte order mark', Buffer.from('\ufeffПривет'), 'text/html; charset=windows-1251', undefined, 'Привет'],
    ['a mark of UTF-16', Buffer.from('\ufeffПривет', 'utf16le'), undefined, undefined, 'Привет'],
    ['the header', cyrillic, 'text/html; charset="windows-1251"', undefined, 'Привет'],
    ['the meta tag', meta('windows-1251'), 'text/html', undefined, '<meta charset="windows-1251">Привет'],
    [
      'the meta tag, where the header is nonsense',
      meta('cp1251'),
      'text/html; charset=klingon',
      undefined,
      '<meta charset="cp1251">Привет',
    ],
    ['UTF-8 where it is valid', Buffer.from('Привет'), 'text/html', undefined, 'Привет'],
    ['windows-1252 otherwise', Buffer.from([0x80, 0x92, 0xe9, 0x81]), 'text/html', undefined, '€’é\u0081'],
  ])('is read by %s', (_what, body, type, encoding, text) => {
    expect(decodeText(body, type, encoding)).toBe(text)
  })

  test('looks for a meta tag in the first 1 024 bytes only, and not in comments', () => {
    const late = Buffer.concat([Buffer.from(' '.repeat(1024)), meta('windows-1251')])
    expect(decodeText(late, undefined)).not.toContain('Привет')
    expect(
      decodeText(Buffer.concat([Buffer.from('<!--'), meta('windows-1251'), Buffer.from('-->')]), undefined),
    ).not.toContain('Привет')
  })
})

test('a real page gives links, fields and JSON', async () => {
  await using site = await website({ books: 6 })
  const asked = request('list', `${site.url}/shop/1`)
  const list = new Page(pageOf(await fetchOnce(asked.url)), asked, html5)
  expect(list.links('h3 a')).toEqual([1, 2, 3, 4].map((number) => `${site.url}/book/${number}`))
  expect(list.links('a[rel=next]')).toEqual([`${site.url}/shop/2`])
  const json = new Page(pageOf(await fetchOnce(`${site.url}/json`)), asked, html5)
  expect(json.json()).toEqual({ title: 'Book 1', price: 5.99 })
})
