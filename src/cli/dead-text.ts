import type { DeadLetter } from '../brokers/broker.ts'
import type { ThrownJson } from '../causes.ts'
import { formatDuration } from '../duration.ts'
import { oneLine } from '../evidence.ts'
import { redact, redactData } from '../secrets.ts'
import { table, type Column } from './table.ts'

const COLUMNS: readonly Column[] = [
  { title: 'ID' },
  { title: 'AGE', align: 'right' },
  { title: 'ATTEMPTS', align: 'right' },
  { title: 'TASK', bends: true },
  { title: 'MESSAGE', bends: true },
]

/** A line for each, cut to `width` if there is one. */
export function listText(letters: readonly DeadLetter[], now: number, width: number | undefined): string[] {
  const rows = letters.map((letter) => [
    oneLine(letter.id),
    formatDuration(Math.max(0, now - letter.diedAt)),
    String(letter.attempts),
    oneLine(letter.task),
    safeLine(thrownText(letter.failure.error)),
  ])
  return table(COLUMNS, rows, width)
}

/** All that is kept of one, for eyes; stacks only where they are asked for. */
export function letterText(letter: DeadLetter, now: number, withStacks: boolean): string[] {
  const { failure, history } = letter
  const age = formatDuration(Math.max(0, now - letter.diedAt))
  return [
    oneLine(letter.path),
    `  id        ${oneLine(letter.id)}`,
    `  kind      ${letter.kind}`,
    `  attempts  ${letter.attempts}`,
    `  died      ${timeText(letter.diedAt)}, ${age} ago`,
    ...[failure.error, ...failure.causes].flatMap((cause, at) => causeText(cause, at, withStacks)),
    ...failure.trail.map(
      ({ path, decision, by }) => `  decided   ${oneLine(path) || 'root catch'}: ${decision} (${by})`,
    ),
    ...history.map(
      ({ generation, attempt, at, kind, message }) =>
        `  attempt   ${generation > 1 ? `${generation}.` : ''}${attempt} at ${timeText(at)} (${kind}): ${safeLine(message)}`,
    ),
    '  input',
    ...JSON.stringify(redactData(letter.input), undefined, 2)
      .split('\n')
      .map((line) => `    ${oneLine(line, 10_000)}`),
  ]
}

/** One line that can be shown to anybody. */
export function safeLine(text: string, most = 500): string {
  return oneLine(redact(text), most)
}

function causeText(cause: ThrownJson, at: number, withStacks: boolean): string[] {
  const stack = withStacks && 'stack' in cause && cause.stack !== undefined ? cause.stack.split('\n') : []
  const frames = stack.filter((line) => /^\s+at /.test(line)).map((line) => `              ${safeLine(line.trim())}`)
  return [`  ${at === 0 ? 'error     ' : 'caused by '}${safeLine(thrownText(cause), 2_000)}`, ...frames]
}

function thrownText(thrown: ThrownJson): string {
  if ('thrown' in thrown) return thrown.thrown
  return thrown.name === 'Error' ? thrown.message : `${thrown.name}: ${thrown.message}`
}

function timeText(at: number): string {
  return new Date(at).toISOString()
}
