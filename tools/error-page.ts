import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as botEntry from '../src/bot/index.ts'
import * as crawlEntry from '../src/crawl/index.ts'
import type { RootcatchError } from '../src/errors.ts'
import { FAILURE_KINDS, type FailureKind } from '../src/failure.ts'
import * as mainEntry from '../src/index.ts'
import { errorGroups, type ErrorGroup } from './error-examples.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const pagePath = `${root}docs/errors.md`
const sources = ['src/errors.ts', 'src/bot/errors.ts', 'src/crawl/errors.ts']

/** Writes docs/errors.md. */
export function writeErrorPage(): void {
  writeFileSync(pagePath, renderErrorPage())
}

/** Whether docs/errors.md is what the classes and their comments say now. */
export function isErrorPageCurrent(): boolean {
  return existsSync(pagePath) && readFileSync(pagePath, 'utf8') === renderErrorPage()
}

/** A class as its doc comment tells it. */
interface ErrorDoc {
  readonly what: string
  readonly why: string
  readonly fix: string
}

/** The page as it has to be. */
export function renderErrorPage(): string {
  const docs = readDocs(sources.map((path) => readFileSync(root + path, 'utf8')).join('\n'))
  return `${intro}
${renderTable(['code', 'class', 'what happened'], indexRows(docs))}

## Kinds of failures

${kindsIntro}

${renderTable(
  ['kind', 'what happened'],
  FAILURE_KINDS.map((kind) => [code(kind), kinds[kind]]),
)}
${errorGroups.map((group) => renderGroup(group, docs)).join('')}`
}

/** Reads what, why and fix of each class from the comment above it. */
export function readDocs(source: string): ReadonlyMap<string, ErrorDoc> {
  const docs = new Map<string, ErrorDoc>()
  for (const [, comment = '', name = ''] of source.matchAll(commentOfClass)) {
    const text = comment.replaceAll(/\s*\n \*(?: {1,3}|$)?/g, ' ').trim()
    const [, what, why, fix] = /^(.+?)\s+- Why: (.+?)\s+- Fix: (.+)$/.exec(text) ?? []
    if (what !== undefined && why !== undefined && fix !== undefined) docs.set(name, { what, why, fix })
  }
  return docs
}

const commentOfClass = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\nexport class (\w+)/g

function indexRows(docs: ReadonlyMap<string, ErrorDoc>): string[][] {
  const rows = new Map<string, string[]>()
  for (const error of errorGroups.flatMap((group) => group.errors)) {
    const { what } = docOf(docs, error.name)
    const link = `[${code(error.name)}](#${error.name.toLowerCase()})`
    rows.set(`${codeOf(error)} ${error.name}`, [code(codeOf(error)), link, firstOf(what)])
  }
  return [...rows.values()].toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1))
}

/** The first sentence of a comment, which is what happened; the consequence stands behind it. */
function firstOf(what: string): string {
  return /^.+?[.;:](?= |$)/.exec(what)?.[0].replace(/[.;:]$/, '') ?? what
}

function renderGroup(
  { title, intro: about, errors: examples }: ErrorGroup,
  docs: ReadonlyMap<string, ErrorDoc>,
): string {
  const byClass = Map.groupBy(examples, ({ name }) => name)
  return `
## ${title}

${fold(about)}
${[...byClass].map(([name, ofClass]) => renderClass(name, ofClass, docOf(docs, name))).join('')}`
}

function renderClass(name: string, examples: readonly Error[], { what, why, fix }: ErrorDoc): string {
  const codes = [...new Set(examples.map((error) => code(codeOf(error))))]
  const entry = entryOf(name)
  return `
### ${name}

${codes.length === 1 ? 'Code' : 'Codes'} ${codes.join(', ')}${entry === undefined ? '' : `, exported by ${code(entry)}`}

${fold(what)}

- ${fold(`**Why**: ${why}`, '  ')}
- ${fold(`**What to do**: ${fix}`, '  ')}

\`\`\`text
${examples.map(({ message }) => message).join('\n')}
\`\`\`
`
}

function docOf(docs: ReadonlyMap<string, ErrorDoc>, name: string): ErrorDoc {
  const doc = docs.get(name)
  if (doc !== undefined) return doc
  throw new Error(`The comment of class ${name} has no "- Why:" and "- Fix:". Write both below its first sentence.`)
}

/** What a user imports the class from, if it is exported. */
function entryOf(name: string): string | undefined {
  if (name in mainEntry) return 'rootcatch'
  if (name in botEntry) return 'rootcatch/bot'
  return name in crawlEntry ? 'rootcatch/crawl' : undefined
}

/** The code of an error; one for all statuses. */
function codeOf(error: Error): string {
  return (error as RootcatchError).code.replace(/^http-\d+$/, 'http-<status>')
}

function code(text: string): string {
  return `\`${text}\``
}

function fold(text: string, indent = ''): string {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && `${indent}${last} ${word}`.length <= 120) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines.join(`\n${indent}`)
}

/** Columns of one width, as the formatter leaves them. */
function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) => Math.max(3, ...[head, ...rows].map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)].join('\n')
}

const kinds: Readonly<Record<FailureKind, string>> = {
  thrown: 'the body of a job, or an actor on an event, threw',
  timeout: "an attempt was not over in the task's `timeout`; `error` is a `TimeoutError`",
  plugin: 'the job asked its plugins by `ctx.pluginError()`, and none answered',
  fallback: 'the fallback threw; `cause` is the failure that led to it',
  input: 'the input does not fit the schema, when asked for or when taken; the body was not called',
  result: 'what the body gave is no JSON, or too large',
  lost: 'its process was gone, or its lease over, `lostLimit` times',
  floating: 'a promise that the job did not await rejected',
  start: 'a child did not start; `error` is what was thrown',
  stop: 'a cleanup threw while its child was stopped',
  restarts: 'children that ended normally spent the limit; `error` is the `RestartLimitError`',
  handler: 'the handler of a page threw',
}

const intro = `<!-- Generated by \`npm run errors\`. Change a comment in an errors.ts, or tools/error-page.ts, instead. -->

# Errors

Every error of rootcatch says what happened, shows the value it is about, and ends with what to do. All of them extend
\`RootcatchError\` and can be told apart in three ways that stay as they are: \`instanceof\`, also for an error of a second
copy of the package; \`name\`, the class; and \`code\`, a short text for logs and for what crosses a process.

\`\`\`ts
import { InvalidOptionError, RootcatchError, task } from 'rootcatch'

try {
  task('resize', { timeout: '30 sec' as '30s' }, (url: string) => url)
} catch (error) {
  if (error instanceof RootcatchError) console.log(error instanceof InvalidOptionError, error.name, error.code)
}
\`\`\`

\`\`\`text output
true InvalidOptionError invalid-option
\`\`\`

What your own code throws is never wrapped in one of these: it stays as it is in \`failure.error\`. A \`Failure\` is no such
error but the record of one that crossed an actor's border, with its path, its kind and the trail of decisions. On a Node
that is too old an ordinary error says which one is needed, before anything else is loaded.
`

const kindsIntro = fold(
  'A `Failure` has a `kind` beside its `error`: which part went wrong, whatever was thrown there. See [jobs](./semantics.md#jobs) for what comes of each.',
)
