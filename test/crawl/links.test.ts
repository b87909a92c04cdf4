import { load } from 'cheerio'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Page } from '../../src/crawl/page.ts'
import { loadParser, type Parse } from '../../src/crawl/parser.ts'
import { request } from '../../src/crawl/request.ts'

const parsers: Readonly<Record<'html5' | 'fast', Parse>> = {
  html5: await loadParser('html5'),
  fast: await loadParser('fast'),
}
const url = 'http://shop.example/a/b'
const kinds = ['html5', 'fast'] as const

function pageOf(html: string, parse: Parse): Page {
  const response = { url, status: 200, headers: {}, body: Buffer.from(html), redirects: [], fromCache: false }
  return new Page({ ...response, proxy: undefined, wireBytes: 0 }, request('page', url, { encoding: 'utf-8' }), parse)
}

/** What is found without `$`, and what with it. */
function both(html: string, kind: 'html5' | 'fast'): { readonly read: unknown; readonly parsed: unknown } {
  const parse = parsers[kind]
  const read = pageOf(html, parse)
  const parsed = pageOf(html, parse)
  expect(parsed.$).toBeTypeOf('function')
  return { read: [read.links(), read.base], parsed: [parsed.links(), parsed.base] }
}

const names = (
  'a a a a base p div b i nobr table table caption colgroup col thead tbody tfoot tr tr td td td th select option ' +
  'optgroup svg path title math mi foreignobject style script noscript iframe noembed noframes xmp textarea plaintext ' +
  'template frameset frame form input button li ul h1 h2 pre br hr html head body marquee object applet ruby rt image dd'
).split(' ')
const name = fc.constantFrom(...names)
const space = fc.constantFrom('', ' ', '\n', '/', ' / ', '\t', '\r\n', '\f')
const href = fc.constantFrom(
  '/1',
  '2',
  '#x',
  '?q=1&amp;r=2&copy=1&notit;',
  '//other.example/',
  'mailto:x',
  ' ',
  '/\u00e9>',
  'a"b',
)
const attribute = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constantFrom('href', 'HREF'), href).map(([key, value]) => `${key}="${value}"`) },
  href.map((value) => `href='${value}'`),
  fc.constantFrom(
    'href=/3',
    'href',
    'href=',
    'href = /4',
    '=href=/5',
    'xlink:href=/6',
    'href=/7/',
    `x='>'`,
    'x="<a href=/8>"',
    'hr\u0130ef=/9',
    '"',
    "'",
    'href="/1',
  ),
)
const start = fc
  .tuple(name, fc.array(attribute, { maxLength: 2 }), space)
  .map(([tag, attributes, end]) => `<${[tag, ...attributes].join(' ')}${end}>`)
const end = fc.tuple(name, space).map(([tag, after]) => `</${tag}${after}>`)
const link = fc.nat(30).map((number) => `<a href="/${number}">x</a>`)
const odd = fc.constantFrom(
  '<!-->',
  '<!--->',
  '<!-- a -->',
  '<!-- <a href=/c> --!>',
  '-->',
  '<!---->',
  '<![CDATA[<a href=/d>]]>',
  ']]>',
  '<!x>',
  '<!>',
  '<!->',
  '<?>',
  '<!doctype html>',
  '<?x <a href=/e>?>',
  '</ td>',
  '</>',
  '</3>',
  '<',
  '< a href=/f>',
  '<a',
  '<a href',
  '</a href=">">',
  '</td x=">">',
  '</script/>',
  '</noscript',
  '<script><!--<script>',
  '<!--',
  '</table/>',
  'text',
  '&amp;',
  '<A HREF=/g>',
  '</TD>',
  '<a/href=/h>',
  '<base href="/base/">',
  '<base href="http://b.example/">',
  '</SCRIPT>',
  '<div/>',
  '<svg/>',
  '<script/>',
  '<a href=/j',
  "<a href='",
  '\u00a0',
  '<tr><td>',
  '</td></tr></table>',
  '<table><tr><td>',
  '</svg>',
  '\0',
)
const html = fc
  .array(
    fc.oneof({ weight: 4, arbitrary: start }, { weight: 3, arbitrary: end }, { weight: 3, arbitrary: link }, odd),
    {
      maxLength: 14,
    },
  )
  .map((parts) => parts.join(''))

describe('links() without $', () => {
  test.each(kinds)('gives what it gives with $, for any HTML, as %s', (kind) => {
    fc.assert(
      fc.property(html, (text) => {
        const { read, parsed } = both(text, kind)
        expect(read).toEqual(parsed)
      }),
      { numRuns: 5_000 },
    )
  })

  test.each(kinds)('gives what it gives with $, for any text, as %s', (kind) => {
    const text = fc.array(fc.constantFrom(...`<>/!-="' aAhHrReEfFtTdDbBsSeE&;?[]\n\0`), { maxLength: 60 })
    fc.assert(
      fc.property(text, (parts) => {
        const { read, parsed } = both(`<a href=/0>${parts.join('')}<a href=/9>`, kind)
        expect(read).toEqual(parsed)
      }),
      { numRuns: 5_000 },
    )
  })

  test.each([
    ['plain links', '<h1>x</h1><a href=/1>a</a><p><a href="/2#x">b</a><a href=/1>c</a>'],
    ['links in cells', '<table><tbody><tr><td><a href=/1>a</a><td><a href=/2>b</a></table><a href=/3>c</a>'],
    [
      'scripts and styles',
      '<script>"<a href=/x>"</script><style>a{}</style><title><a href=/y></title><a href=/1>a</a>',
    ],
    ['icons', '<a href=/1><svg viewBox="0 0 1 1"><path d="M0"/><g><use/></g></svg></a><a href=/2>b</a>'],
    ['a choice', '<select><option>1<optgroup><option>2</select><a href=/1>a</a>'],
    ['a tag manager', '<noscript><iframe src="x"></iframe></noscript><noscript><a href=/x></noscript><a href=/1>a</a>'],
    ['a base', '<head><base target=x><base href="/deep/"><base href=/no/></head><a href=1>a</a>'],
  ])('needs no document for %s', (_, text) => {
    for (const kind of kinds) {
      const parse = Object.assign(
        (): never => {
          throw new Error('a document was made')
        },
        { findLinks: parsers[kind].findLinks },
      )
      expect(pageOf(text, parse).links()).toEqual(
        pageOf(text, (given) => (kind === 'html5' ? load(given) : parsers.fast(given))).links(),
      )
    }
  })

  test.each([
    ['a title in an icon', '<svg><title><a href=/1></title></svg><a href=/2>x</a>'],
    ['a style in an icon', '<svg><style><a href=/1></style></svg><a href=/2>x</a>'],
    ['a link in an icon', '<svg><desc><table><a href=/1></table></desc></svg><a href=/2>x</a>'],
    ['an end tag with attributes', '<p></p x="><a href=/1>"><a href=/2>x</a>'],
    [
      'an end tag in an attribute',
      '<noscript><img alt="</noscript><a href=/1>"><a href=/2></noscript><a href=/3>x</a>',
    ],
    ['a script in a script', '<script><!--<script></script><a href=/1>--></script><a href=/2>x</a>'],
    ['a link left open in a table', '<a href=/1><table><tr><td><a href=/2></table><a href=/3>x</a>'],
    ['a declaration of nothing', '<!><a href=/1>x</a><!-><a href=/2>x</a><?><a href=/3>x</a>'],
    ['a cell ended by what is around it', '<div><table><tr><td></div></td><a href=/1>x</a></table><a href=/2>x</a>'],
  ])('gives what it gives with $ for %s', (_, text) => {
    for (const kind of kinds) {
      const { read, parsed } = both(text, kind)
      expect(read).toEqual(parsed)
    }
  })

  test('leaves to a browser\u2019s parser what it moves: a link in a table but in no cell', () => {
    const text = '<table><tr><td><a href=/1>a</a></td></tr><a href=/2>b</a></table>'
    expect(pageOf(text, parsers.html5).links()).toEqual(['http://shop.example/2', 'http://shop.example/1'])
    expect(pageOf(text, parsers.fast).links()).toEqual(['http://shop.example/1', 'http://shop.example/2'])
  })
})
