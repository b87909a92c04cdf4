import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { readDocs, renderErrorPage } from '../tools/error-page.ts'

const page = readFileSync('docs/errors.md', 'utf8')
const abstracts = ['RootcatchError', 'NetworkError']

let source = ''
for await (const path of glob('src/**/*.ts')) source += `${readFileSync(path, 'utf8')}\n\n`

const classes = [...source.matchAll(/class (\w+) extends (?:RootcatchError|NetworkError)\b/g)].map(
  ([, name = '']) => name,
)

/** The codes of the classes, and those of the unions that a class takes its code from. */
const codes = [
  ...[...source.matchAll(/identify\(this, '\w+', '(?:network\.)?([a-z-]+)'\)/g)].map(([, code = '']) => code),
  ...[...source.matchAll(/^(?:export )?type \w+Code =[^]*?\n\n/gm)].flatMap(([union]) =>
    [...union.matchAll(/'([a-z-]+)'/g)].map(([, code = '']) => code),
  ),
].filter((code) => code !== 'broker' && code !== 'network' && code !== 'http') // kept by the class, told by none

describe('docs/errors.md', () => {
  test('is what the classes and their comments say now', () => {
    expect(page).toBe(renderErrorPage())
  })

  test('has every class of the sources, with why and what to do', () => {
    const sections = page.split('\n### ').slice(1)
    const explained = sections.filter((text) => text.includes('**Why**: ') && text.includes('**What to do**: '))
    expect(classes.length).toBeGreaterThan(40)
    expect(explained.map((text) => text.split('\n')[0]).toSorted()).toEqual(
      classes.filter((name) => !abstracts.includes(name)).toSorted(),
    )
    for (const name of abstracts) expect(page).toContain(`\`${name}\``)
  })

  test('has every code of the sources in its table', () => {
    expect(codes).toContain('store-newer')
    expect(codes).toContain('connection-reset')
    expect([...codes, 'http-<status>'].filter((code) => !page.includes(`\n| \`${code}\` `))).toEqual([])
  })
})

describe('a doc comment', () => {
  test('is read over its lines, and only where it has both why and fix', () => {
    const docs = readDocs(
      [
        '/**\n * It broke;\n * all stops.\n *\n * - Why: One\n *   reason.\n * - Fix: Mend it.\n */\nexport class A extends B {}',
        '/** It broke. */\nexport class C extends B {}',
        '/**\n * It broke.\n *\n * - Why: A reason.\n */\nexport class D extends B {}',
      ].join('\n\n'),
    )
    expect([...docs]).toEqual([['A', { what: 'It broke; all stops.', why: 'One reason.', fix: 'Mend it.' }]])
  })
})
