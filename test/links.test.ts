import { existsSync, readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { posix } from 'node:path'
import { describe, expect, test } from 'vitest'
import { withoutPackages } from './support/without-packages.ts'

const pages = new Map<string, string>()
for await (const path of glob(['*.md', 'docs/**/*.md', 'machines/*.md', 'bench/**/*.md'], withoutPackages)) {
  pages.set(path.replaceAll('\\', '/'), readFileSync(path, 'utf8'))
}

/** What a page links to inside of the repository and is not there. */
function brokenLinks(page: string, text: string): string[] {
  const prose = text.replaceAll(/^```[^]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, '')
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target) && !leadsSomewhere(page, target))
}

function leadsSomewhere(page: string, target: string): boolean {
  const [path = '', anchor] = target.split('#')
  const file = path === '' ? page : posix.join(posix.dirname(page), path)
  if (anchor === undefined) return existsSync(file)
  return anchorsOf(pages.get(file) ?? '').includes(anchor)
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

describe('links of README and docs', () => {
  test.each([...pages])('lead somewhere: %s', (page, text) => {
    expect(brokenLinks(page, text)).toEqual([])
  })

  test('lead from the README to every guide, page of docs and decision', () => {
    const readme = pages.get('README.md') ?? ''
    const decisions = pages.get('docs/decisions/README.md') ?? ''
    const left = [...pages.keys()].filter((page) => {
      if (/^docs\/decisions\/\d/.test(page)) return !decisions.includes(`(./${posix.basename(page)})`)
      return /^docs\/(?!api\.report)/.test(page) && !readme.includes(`(./${page})`)
    })
    expect(left).toEqual([])
  })

  test('are found where they lead nowhere, in prose alone', () => {
    const text = [
      '# A `b`, c: d',
      '[1](./nowhere.md) [2](#a-b-c-d) [3](#a) [4](README.md#rootcatch) [5](https://example.com) `[6](./no.md)`',
      '```md',
      '[7](./no.md)',
      '```',
    ].join('\n')
    pages.set('made-up.md', text)
    expect(brokenLinks('made-up.md', text)).toEqual(['./nowhere.md', '#a'])
  })
})
