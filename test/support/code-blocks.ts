import { spawn } from 'node:child_process'
import { mkdirSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root, runNode, tsc } from './child.ts'

/** A ```ts block of a page. `output` is the ```text output block that follows it, what a run has to print. */
export type CodeBlock = {
  readonly page: string
  /** The line of the opening fence, from 1. */
  readonly line: number
  readonly text: string
  readonly runs: boolean
  /** It names a Redis, which is another one where it runs. */
  readonly isOnRedis: boolean
  readonly output?: string
}

const fence = /^```([^\n]*)\n([\s\S]*?)^```[ \t]*$/gm

/**
 * The ```ts blocks of a page, in order. Behind the language, `no-run` means: only check the types; `redis`: run it on one
 * of the tests', if there is any.
 */
export function codeBlocksOf(page: string, markdown: string): CodeBlock[] {
  const blocks: CodeBlock[] = []
  for (const { index, 1: info = '', 2: text = '' } of markdown.matchAll(fence)) {
    const words = info.trim().split(/\s+/)
    const line = markdown.slice(0, index).split('\n').length
    if (words[0] === 'ts') {
      blocks.push({ page, line, text, runs: !words.includes('no-run'), isOnRedis: words.includes('redis') })
    }
    if (words[0] !== 'text' || words[1] !== 'output') continue
    const last = blocks.pop()
    if (last === undefined) throw new Error(`${page}:${line} shows an output, but no ts block stands before it.`)
    blocks.push({ ...last, output: text })
  }
  return blocks
}

/**
 * Writes the blocks as files, each line at its number in the page, so that messages name the line to mend.
 * The folder is in the repository but not in node_modules, where Node strips no types and no package finds itself.
 */
export function writeBlocks(name: string, blocks: readonly CodeBlock[]): string {
  const folder = join(root, '.cache', name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const block of blocks) writeFileSync(join(folder, fileOf(block)), '\n'.repeat(block.line) + block.text)
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ extends: '../../tsconfig.json', ...asUsersDo }))
  return folder
}

// Without `paths` the package's name leads to dist, as it does for users; a snippet may leave a name unused.
const asUsersDo = {
  compilerOptions: { paths: {}, noUnusedLocals: false, noUnusedParameters: false },
  include: ['*.ts'],
  exclude: [],
}

/** Lets a block that was written name a Redis that is there, by its URL or the path of its socket. */
export function putRedis(folder: string, block: CodeBlock, redis: string): void {
  const file = join(folder, fileOf(block))
  const text = readFileSync(file, 'utf8')
  const named = /'rediss?:\/\/[^']*'/g
  if (!named.test(text)) throw new Error(`${block.page}:${block.line} is to run on a Redis, but names none.`)
  writeFileSync(file, text.replace(named, JSON.stringify(redis)))
}

function fileOf(block: CodeBlock): string {
  return `${block.page.replaceAll('/', '-')}-${block.line}.ts`
}

/** What the compiler says about the blocks in `folder`; empty when all is well. */
export async function typeErrors(folder: string): Promise<string> {
  return (await runNode([tsc, '-p', folder, '--pretty', 'false'])).stdout
}

/** Runs one block against dist. Answers what is wrong with it; empty when all is well. */
export async function runProblem(folder: string, block: CodeBlock): Promise<string> {
  const { code, printed } = await runBlock(join(folder, fileOf(block)))
  if (code !== 0) return `${block.page}:${block.line} ended with ${code}:\n${printed}`
  if (block.output === undefined || printed.trimEnd() === block.output.trimEnd()) return ''
  return `${block.page}:${block.line} printed:\n${printed}\nbut the page shows:\n${block.output}`
}

/** Both streams go into one file, so that they stand in the order in which a terminal shows them. */
function runBlock(file: string): Promise<{ code: number | string; printed: string }> {
  const printed = openSync(`${file}.out`, 'w')
  const env = { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined, NODE_ENV: undefined }
  const child = spawn(process.execPath, [file], {
    env,
    cwd: dirname(file), // what a block writes goes away with its folder
    stdio: ['ignore', printed, printed],
    timeout: 60_000,
  })
  closeSync(printed)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      resolve({ code: code ?? String(signal), printed: readFileSync(`${file}.out`, 'utf8') })
    })
  })
}
