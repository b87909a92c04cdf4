import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { codeBlocksOf, putRedis, runProblem, typeErrors, writeBlocks, type CodeBlock } from './support/code-blocks.ts'
import { redisMissing, sharedRedis } from './support/redis.ts'

const blocks: CodeBlock[] = []
for await (const page of glob(['README.md', 'CHANGELOG.md', 'docs/**/*.md', 'machines/README.md'])) {
  if (page.endsWith('api.report.md')) continue // generated, its blocks are declarations
  blocks.push(...codeBlocksOf(page.replaceAll('\\', '/'), readFileSync(page, 'utf8')))
}
const folder = writeBlocks('docs', blocks)
const redis = sharedRedis()

describe.concurrent('the code blocks of README and docs', { timeout: 90_000 }, () => {
  test.skipIf(blocks.length === 0)('have no type errors', async () => {
    expect(await typeErrors(folder)).toBe('')
  })

  for (const block of blocks.filter(({ runs }) => runs)) {
    const isSkipped = block.isOnRedis && redisMissing !== undefined
    test.skipIf(isSkipped)(`${block.page}:${block.line} runs and prints what the page shows`, async () => {
      if (block.isOnRedis) putRedis(folder, block, redisAddress())
      expect(await runProblem(folder, block)).toBe('')
    })
  }
})

function redisAddress(): string {
  const address = redis()
  return 'url' in address ? address.url : address.path
}

describe.concurrent('a code block', { timeout: 90_000 }, () => {
  const page = [
    'Some `inline` code.',
    '```ts',
    `console.log('a'); console.error('b')`,
    '```',
    '```text output',
    'a',
    'b',
    '```',
    '```sh',
    'npm ci',
    '```',
    '```ts no-run',
    'const wrong: number = "two"',
    '```',
    'prose',
    '```ts',
    'console.log("c")',
    'process.exit(3)',
    '```',
    '```ts',
    'console.log("d")',
    '```',
    '```text output',
    'e',
    '```',
  ].join('\n')
  const [shown, untyped, exiting, differing, ...more] = codeBlocksOf('docs/page.md', page) as [
    CodeBlock,
    CodeBlock,
    CodeBlock,
    CodeBlock,
    ...CodeBlock[],
  ]
  const madeUp = writeBlocks('docs-made-up', [shown, untyped, exiting, differing])

  test('is found with its line, its output and its no-run', () => {
    expect(shown).toMatchObject({ line: 2, runs: true, output: 'a\nb\n' })
    expect(untyped).toMatchObject({ line: 12, runs: false })
    expect(exiting).toMatchObject({ line: 16, runs: true })
    expect(more).toEqual([])
  })

  test('of a wrong type is reported with its line in the page', async () => {
    const errors = await typeErrors(madeUp)
    expect(errors).toContain('docs-page.md-12.ts(13,7): error TS2322')
    expect(errors.trim().split('\n')).toHaveLength(1)
  })

  test('passes when it prints what the page shows, on both streams', async () => {
    expect(await runProblem(madeUp, shown)).toBe('')
  })

  test('fails when it ends with another code than 0', async () => {
    expect(await runProblem(madeUp, exiting)).toBe('docs/page.md:16 ended with 3:\nc\n')
  })

  test('fails when it prints something else', async () => {
    expect(await runProblem(madeUp, differing)).toContain('printed:\nd\n\nbut the page shows:\ne\n')
  })

  test('has to stand before an output', () => {
    expect(() => codeBlocksOf('README.md', '```text output\na\n```')).toThrow('README.md:1 shows an output')
  })
})
