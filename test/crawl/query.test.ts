import { load as loadHtml5, type CheerioAPI } from 'cheerio'
import { load as loadFast } from 'cheerio/slim'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { loadParser, type ParserKind } from '../../src/crawl/parser.ts'
import { queriesOf } from '../../src/crawl/query.ts'

const parsers = { html5: await loadParser('html5'), fast: await loadParser('fast') }
const loads = { html5: loadHtml5, fast: loadFast }
const kinds: readonly ParserKind[] = ['html5', 'fast']

const shop = `<!doctype html><html><head><title>Shop</title></head><body class="x y">
<h1 id="top">Books <b>now</b></h1><ul><li class="a" data-n="1"><a href="/1">One</a></li><li class="b"><a href="/2">Two</a></li>
<li>three<!-- c --></li></ul><form><input name="q" value="v"><select name="s"><option value="o" selected>O</select></form>
<div style="color:red"><p>1</p><p>2</p><span>s</span></div><script>let a</script></body></html>`

/** What users ask of a `$`; whatever comes back is compared as markup. */
const asked: Readonly<Record<string, ($: CheerioAPI) => unknown>> = {
  'a tag': ($) => $('li'),
  'many of them': ($) => $('h1, li a'),
  'an id, a class': ($) => [$('#top').length, $('.a, .b').length],
  nothing: ($) => [$(), $(''), $(null as never), $(undefined)].map(({ length }) => length),
  'what is not there': ($) => [$('video').length, $('video').text(), $('video').html(), $('video').attr('src')],
  'a selector that is none': ($) => $('a['),
  'what is no selector': ($) => $(5 as never),
  'an object that is no node': ($) => $({ a: 1 } as never),
  'its own selection': ($) => $($('li')) === $($('li')) || $($('li')),
  'a node': ($) => $($('li')[1]),
  'a text and a comment': ($) => [$($('li').contents()[0]).text(), $('li').contents().length],
  nodes: ($) => $($('li').toArray()),
  'the document': ($) => [$($.root()[0] as never).html(), $.root().length],
  'inside a selection': ($) => $('a', $('li').first()),
  'inside a node': ($) => $('a', $('li')[1]),
  'inside nodes': ($) => $('a', $('li').toArray() as never),
  'inside a selector': ($) => $('a', 'ul'),
  'inside markup': ($) => $('i', '<p><i>x</i></p>'),
  'inside another root': ($) => $('i', null, '<p><i>x</i></p>'),
  markup: ($) => $('<em class="n">new</em>'),
  'a wrong context': ($) => $('a', 5 as never),
  find: ($) => $('ul').find('a'),
  'find of a node': ($) => $('ul').find($('a')[1] as never),
  'filter, not, has, is': ($) => [
    $('li').filter('.a').length,
    $('li').not('.a').length,
    $('li').has('a').length,
    $('li').is('.b'),
    $('li').filter((_, li) => $(li).text() === 'Two').length,
  ],
  'up and down': ($) => [
    $('a').parent().length,
    $('a').parents().length,
    $('a').closest('ul').length,
    $('ul').children('.b').text(),
    $('a').parentsUntil('body').length,
  ],
  'to the sides': ($) => [
    $('.a').next().text(),
    $('.b').prev().text(),
    $('.a').nextAll().length,
    $('.b').siblings().length,
  ],
  'first, last, eq, slice': ($) => [
    $('li').first().text(),
    $('li').last().text(),
    $('li').eq(-1).text(),
    $('li').slice(1).length,
  ],
  'each, map, get': ($) => [
    $('li')
      .map((index, li) => `${index}${$(li).text()}`)
      .get(),
    $('li').get(0)?.attribs['class'],
    $('li').toArray().length,
  ],
  index: ($) => [$('.b').index(), $('li').index($('.b')), $('.b').index('li')],
  'end and add': ($) => [
    $('li').find('a').end().length,
    $('li').end().length,
    $('li').add('p').length,
    $('.a').add('a', $('ul')).length,
  ],
  addBack: ($) => $('ul').find('a').addBack().length,
  'attr, prop, data, val': ($) => [
    $('li').attr('class'),
    $('a').prop('href'),
    $('a').prop('tagName'),
    $('li').data('n'),
    $('input').val(),
    $('select').val(),
    $('li').hasClass('b'),
    $('div').css('color'),
  ],
  'text and html': ($) => [
    $('h1').text(),
    $('h1').html(),
    $('ul').prop('outerHTML'),
    $.text(),
    $.text($('li').toArray() as never),
  ],
  'all of it': ($) => [$.html(), $.html($('h1')), $.html('li'), $.xml('li'), $.root().html(), $('h1').toString()],
  forms: ($) => [$('form').serialize(), $('form').serializeArray()],
  extract: ($) => [
    $.extract({ title: 'h1', links: [{ selector: 'a', value: 'href' }] }),
    $('ul').extract({ first: 'a' }),
  ],
  'parts of $': ($) => [
    $.contains($('ul')[0] as never, $('a')[0] as never),
    $.merge([1], [2]),
    $.parseHTML('<b>1</b><i>2</i>').length,
  ],
  'load of $': ($) => $.load('<p>other</p>')('p').text(),
  'taken apart': ({ contains, merge }) => [typeof contains, merge([1], [2])],
  append: ($) => ($('ul').append('<li>new</li>').prepend($('p').first()), $.html()),
  'after, before, insert': ($) => (
    $('li').after('<hr>'),
    $('.b').before($('h1')),
    $('<s>1</s>').insertAfter('.a'),
    $.html()
  ),
  'wrap and unwrap': ($) => (
    $('a').wrap('<b></b>'),
    $('p').wrapAll('<i class="w"></i>'),
    $('h1 b').unwrap(),
    $('li').wrapInner('<u></u>'),
    $.html()
  ),
  'replace, empty, remove, clone': ($) => (
    $('h1').replaceWith('<h2>2</h2>'),
    $('form').empty(),
    $('script').remove(),
    $('ul').append($('.a').clone()),
    $.html()
  ),
  'classes, attributes, text': ($) => (
    $('li')
      .addClass('z')
      .toggleClass('a')
      .removeClass('b')
      .attr('id', (index) => `l${index}`),
    $('p').text((index) => `t${index}`),
    $('span').html('<q>1</q>'),
    $.html()
  ),
  'what is its own': ($) => [$('a') instanceof $, $('<b>') instanceof ($ as never), {} instanceof ($ as never)],
  'a plugin': ($) => {
    const fn = $.fn as unknown as Record<string, unknown>
    fn['count'] = function count(this: { length: number }): number {
      return this.length
    }
    const counted = $('li') as unknown as { count(): number; find(selector: string): { count(): number } }
    return [counted.count(), counted.find('a').count(), $('li') instanceof $, $.prototype === $.fn]
  },
  'what it is called by': ($) => [
    typeof $,
    $('a')[Symbol.iterator] !== undefined,
    [...$('a')].length,
    Array.isArray($('a')),
  ],
}

function outcomeOf(ask: ($: CheerioAPI) => unknown, $: CheerioAPI): unknown {
  try {
    return plain(ask($))
  } catch (error) {
    return (error as Error).message
  }
}

function plain(value: unknown): unknown {
  const selection = value as { readonly cheerio?: unknown; readonly length: number; toString(): string }
  if (typeof value === 'object' && value !== null && selection.cheerio !== undefined)
    return [selection.length, String(selection)]
  return value
}

describe.each(kinds)('$ of %s', (kind) => {
  test.each(Object.entries(asked))("answers as cheerio's own does: %s", (_, ask) => {
    expect(outcomeOf(ask, parsers[kind](shop))).toEqual(outcomeOf(ask, loads[kind](shop)))
  })

  test('answers as often as it is asked, in any order', () => {
    const names = Object.keys(asked)
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...names), { minLength: 2, maxLength: 6 }), (chosen) => {
        const [ours, own] = [parsers[kind](shop), loads[kind](shop)]
        for (const name of chosen) {
          const ask = asked[name] as ($: CheerioAPI) => unknown
          expect(outcomeOf(ask, ours)).toEqual(outcomeOf(ask, own))
        }
      }),
      { numRuns: 150 },
    )
  })

  test('keeps a plugin to its page', () => {
    const [one, other] = [parsers[kind](shop), parsers[kind](shop)]
    Object.assign(one.fn, { hi: () => 'hi' })
    expect((one('li') as unknown as { hi(): string }).hi()).toBe('hi')
    expect('hi' in other('li')).toBe(false)
    expect('hi' in other.fn).toBe(false)
  })

  test('tells its selections from those of another page', () => {
    const [one, other] = [parsers[kind](shop), parsers[kind](shop)]
    expect([one('li') instanceof one, other('li') instanceof one]).toEqual([true, false])
  })

  test('has one class for all pages, so that its code is compiled once', () => {
    const [one, other] = [parsers[kind](shop), parsers[kind](shop)]
    expect(Object.getPrototypeOf(one('li'))).toBe(Object.getPrototypeOf(other('li').find('a')))
  })
})

test('lets a handler make as much markup as it likes', () => {
  const $ = parsers.html5('<ul></ul>')
  for (let count = 0; count < 3_000; count += 1) $('ul').append($('<li>'))
  expect($('li').length).toBe(3_000)
})

test("leaves a cheerio that is made otherwise to cheerio's own load", () => {
  const otherwise = ((html: string) => Object.assign(() => html, { fn: {} })) as never
  expect(queriesOf(otherwise)).toBeUndefined()
})
