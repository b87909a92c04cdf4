import { posix } from 'node:path'
import { cyclesOf, importsOf, type Files, type Import } from './imports.ts'

/** What the files matching `of` may import (`may`), or must not (`mayNot`), and why. */
type Rule = {
  readonly of: RegExp
  readonly because: string
  /** A target is written `src/run.ts`, `xstate` or `node:fs`, with `type ` in front where only types are taken. */
  readonly may?: RegExp
  readonly mayNot?: RegExp
}

const plainLeaf =
  'src/(?:duration|decision|errors|brand|options|payload|clock|thrown|evidence|nearest|causes|stack|sliding-window|schedule|secrets|passing-map|job-table|owner|generator)\\.ts'
const leaf = `(?:${plainLeaf}|src/retry\\.ts)`
const leaves = `(?:type )?(?:${leaf}|node:.+)`
const definition = 'src/(?:definition|task|isolate|supervisor|actor|plugin|child|task-context|run-options|hosted)\\.ts'
const record = 'src/(?:failure|events)\\.ts'
const contract = 'src/brokers/broker\\.ts'
const subpath = 'src/(?:bot|crawl|inspect|cli|plugins|testing)/.+'

const only = (...patterns: string[]): RegExp => new RegExp(`^(?:${patterns.join('|')})$`)

const rules: readonly Rule[] = [
  {
    of: only('machines/.+'),
    may: only('(?:type )?xstate', '(?:type )?machines/.+'),
    because: 'a chart imports only xstate, so that it opens in Stately as it is',
  },
  {
    of: only('src/node-version\\.ts'),
    mayNot: only('.+'),
    because: 'the version guard imports nothing, for whatever it imports could break on an old Node before it speaks',
  },
  {
    of: only(plainLeaf),
    may: only(leaves),
    because: 'leaves import only leaves, so that everything else can use them',
  },
  {
    of: only('src/retry\\.ts'),
    may: only('(?:type )?src/(?:duration|errors|brand|options|evidence)\\.ts'),
    because: 'retry decides from durations and options alone, so that it can be tested by a table',
  },
  {
    of: only('src/failure\\.ts'),
    may: only(leaves),
    because: 'a failure is a record; what reads it must not come along',
  },
  {
    of: only('src/events\\.ts'),
    may: only(leaves, '(?:type )?src/failure\\.ts', '(?:type )?eventemitter3'),
    because: 'events tell what happened; those who watch must not load what acts',
  },
  {
    of: only(definition),
    may: only(
      leaves,
      `(?:type )?${definition}`,
      `type ${record}`,
      `type ${contract}`,
      'type src/run\\.ts',
      'type xstate',
      'type @standard-schema/spec',
    ),
    because: 'a definition is data: making one runs nothing of the runtime, and a restart applies it again',
  },
  {
    of: only('src/actors/.+'),
    may: only(
      leaves,
      '(?:type )?xstate',
      `(?:type )?(?:machines/.+|src/actors/.+|${definition}|${record}|${contract}|src/run\\.ts)`,
      'type @standard-schema/spec',
      '(?:type )?src/isolate/threads\\.ts',
      'type src/isolate/thread-use\\.ts',
    ),
    because: 'actors bring definitions to life and know nothing of start, system, stores or watchers',
  },
  {
    of: only('src/isolate/.+'),
    may: only(leaves, `(?:type )?${definition}`, '(?:type )?src/isolate/.+'),
    because: 'a thread loads the body of a task and what calls it, and nothing of the runtime',
  },
  {
    of: only('(?!src/isolate/|src/actors/).+'),
    mayNot: only('(?:type )?src/isolate/.+'),
    because: 'only the worker of a task that asks for threads loads what they are made of',
  },
  {
    of: only('src/brokers/.+'),
    may: only(
      leaves,
      'src/node-version\\.ts',
      `(?:type )?${record}`,
      '(?:type )?src/brokers/(?!(?:memory|sqlite|postgres|bullmq)\\.ts).+',
    ),
    because: 'a broker keeps plain records; other brokers and jobs as actors are none of its business',
  },
  {
    of: only('src/plugins/.+'),
    may: only(
      leaves,
      'src/node-version\\.ts',
      `(?:type )?(?:src/plugins/.+|src/plugin\\.ts|${record})`,
      'type @opentelemetry/api',
    ),
    because: 'a ready-made plugin is made of what every user has: hooks, events and failures',
  },
  {
    of: only('(?!machines/|src/actors/|src/testing/|src/cli/tour/|examples/|bench/).+'),
    mayNot: only('xstate'),
    because: 'src/actors/ is the only room that uses xstate at run time, so that how a chart runs is one seam',
  },
  {
    of: only('src/[^/]+\\.ts', 'src/(?:actors|brokers)/.+'),
    mayNot: only(subpath),
    because: 'a subpath is loaded by those who import it, and nobody else pays for it',
  },
  {
    of: only('(?!src/bot/|bench/|examples/).+'),
    mayNot: only('(?:type )?grammy(?:/.+)?'),
    because: 'whoever has no bot loads no grammY',
  },
  {
    of: only('src/cli/(?!tour(?:\\.ts|/)).+'),
    may: only(
      leaves,
      '(?:type )?(?:src/cli/.+|commander)',
      `(?:type )?${record}`,
      'src/(?:node-version|start|stop-on-signals|definition|status-line)\\.ts',
      'src/brokers/(?:sqlite|postgres|bullmq)\\.ts',
      'src/inspect/inspector\\.ts',
      'type src/inspection\\.ts',
      `type ${contract}`,
      'type src/(?:start|system|stats|supervisor)\\.ts',
    ),
    because: 'the command line is a user of the package: it starts systems and opens stores, and reaches into neither',
  },
  {
    of: only('src/cli/tour(?:\\.ts|/.+)'),
    may: only(leaves, 'src/status-line\\.ts', '(?:type )?(?:src/cli/.+|rootcatch(?:/.+)?|xstate)'),
    because: 'the tour is written as a user writes, by the package name: what it shows is what everybody has',
  },
  {
    of: only('src/inspect/.+'),
    may: only(
      leaves,
      'src/node-version\\.ts',
      '(?:type )?(?:src/inspect/.+|src/inspection\\.ts|ws)',
      `type (?:src/actors/.+|${record}|${contract})`,
      'type src/(?:system|stats|dead-letters)\\.ts',
    ),
    because: 'the inspector sees through what it is handed, so that it can neither drive a system nor be loaded by one',
  },
  {
    of: only('(?!src/inspect/|test/).+'),
    mayNot: only('(?:type )?ws'),
    because: 'only who looks at a system loads what shows it',
  },
  {
    of: only('(?!src/cli/).+'),
    mayNot: only('(?:type )?commander'),
    because: 'only who types a command pays for reading its arguments',
  },
  {
    of: only('src/stats\\.ts', 'src/inspect/.+'),
    mayNot: only('src/(?:start|system)\\.ts'),
    because: 'stats and inspector watch; what drives the tree is handed to them or out of reach',
  },
  {
    of: only('src/.+', 'machines/.+'),
    mayNot: only('(?:type )?(?:.+/)?index\\.ts'),
    because: 'an index is the surface for users; inside, a thing is imported from the file it lives in',
  },
  {
    of: only('examples/.+'),
    may: only('(?:type )?(?:rootcatch(?:/.+)?|xstate|zod|node:.+)', 'examples/tasks/.+'),
    because: 'examples are written as a user writes: by the package name, beside peers of their own',
  },
  {
    of: only('bench/.+'),
    may: only(
      '(?:type )?(?:rootcatch(?:/.+)?|xstate|bullmq|grammy|undici|playwright-core|cheerio(?:/.+)?|node:.+)',
      '(?:type )?(?:bench/.+|tools/(?:redis|postgres|chromium)\\.ts)',
      'src/bot/http\\.ts',
    ),
    because: 'benches are written as a user writes: by the package name, beside what they compare it with',
  },
]

const vague = /^(?:utils?|helpers?|commons?|types?|constants?)$/
const entry = /^src\/(?:(?:[^/]+\/)?index|brokers\/(?:sqlite|postgres|bullmq)|cli\/rootcatch)\.ts$/

/** Everything in these files that breaks a rule of the layout, a sentence each, with the rule's reason. */
export function findViolations(files: Files): string[] {
  const imports = [...files].flatMap(([path, text]) => importsOf(path, text))
  return [
    ...imports.flatMap(brokenRules),
    ...cyclesOf(imports).map((way) => `${way.join(' → ')} is a cycle: none of these can be read or loaded alone.`),
    ...[...files.keys()].filter(isVague).map((path) => `${path} is named after nothing: a thing lives with its noun.`),
    ...[...files].filter(isUnguarded).map(([path]) => `${path} must import node-version.ts first: ${guardFirst}.`),
  ]
}

const guardFirst = 'imports are evaluated in order, and an old Node gets a sentence instead of a crash'

function brokenRules(line: Import): string[] {
  const target = line.typeOnly ? `type ${line.to}` : line.to
  return rules
    .filter((rule) => rule.of.test(line.from) && (rule.may?.test(target) === false || rule.mayNot?.test(target)))
    .map((rule) => `${line.from} must not import ${target}: ${rule.because}.`)
}

function isVague(path: string): boolean {
  return path.split('/').some((part) => vague.test(posix.basename(part, posix.extname(part))))
}

function isUnguarded([path, text]: readonly [string, string]): boolean {
  return entry.test(path) && importsOf(path, text)[0]?.to !== 'src/node-version.ts'
}
