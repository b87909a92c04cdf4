import { cut, evidenceOf, guarded, isError, peek, typeOf, unreadableText } from './evidence.ts'
import { framesOf } from './stack.ts'
import { causeOf, codeOf, describeThrown, errorsOf, isPluginTrigger, messageOf, nameOf, stackOf } from './thrown.ts'

/** One error of a failure: what was thrown, what caused it, or one of several errors in it. */
export interface Link {
  /** How it stands to the one before it: '' for the first, else `caused by` or `1.`. */
  readonly relation: string
  readonly value: unknown
  /** How many lists of errors it stands in. */
  readonly depth: number
}

/** An error as JSON keeps it. */
export interface ErrorJson {
  readonly name: string
  readonly message: string
  readonly stack?: string
  readonly code?: string | number
  /** What a `PluginTriggerError` said; as text where JSON cannot hold it. */
  readonly details?: unknown
}

/** Anything that was thrown, as JSON keeps it. */
export type ThrownJson = ErrorJson | { readonly thrown: string; readonly type: string }

/** The errors of a failure, in the order to read them; `isCut` when there are more than anybody would read. */
export interface Chain {
  readonly links: readonly Link[]
  readonly isCut: boolean
}

const mostLevels = 20
const mostLinks = 50

/**
 * What was thrown and everything it names as its cause, each once. It ends for cycles, for chains of a thousand and for
 * causes that are new at each look.
 */
export function chainOf(error: unknown, cause: unknown): Chain {
  const links: Link[] = []
  const seen = new Set<unknown>()
  let isCut = false
  visit({ relation: '', value: error, depth: 0 }, 1)
  if (!Object.is(cause, error)) visit({ relation: 'caused by', value: cause, depth: 0 }, 1)
  return { links, isCut }

  function visit(link: Link, level: number): void {
    const { value, depth } = link
    if (seen.has(value)) return
    if (level > mostLevels || links.length === mostLinks) {
      isCut = true
      return
    }
    if (isReference(value)) seen.add(value)
    links.push(link)
    errorsOf(value).forEach((inner, index) => {
      visit({ relation: `${index + 1}.`, value: inner, depth: depth + 1 }, level + 1)
    })
    const next = causeOf(value)
    if (next !== undefined) visit({ relation: 'caused by', value: next, depth }, level + 1)
  }
}

/** The lines a report has for the errors: what each says, then where it was thrown. */
export function printChain(chain: Chain): readonly string[] {
  return [...chain.links.flatMap(printLink), ...(chain.isCut ? ['  … further causes are left out'] : [])]
}

/** A thrown value as JSON keeps it. Never throws. */
export function thrownJson(value: unknown): ThrownJson {
  const name = nameOf(value)
  if (name === undefined) return { thrown: describeThrown(value), type: typeOf(value) }
  const stack = stackOf(value)
  const code = codeOf(value)
  return {
    name,
    message: messageOf(value),
    ...(stack === undefined ? {} : { stack: cut(stack, longestStack) }),
    ...(code === undefined ? {} : { code }),
    ...(isPluginTrigger(value) ? { details: detailsJson(peek(value, 'details')) } : {}),
  }
}

/**
 * What was thrown in another process, out of what JSON kept of it: an error with its name, message, stack and code, and
 * with its causes in the order they were listed. Anything else is the text it was described by.
 */
export function reviveThrown(error: ThrownJson, causes: readonly ThrownJson[] = []): unknown {
  const [next, ...rest] = causes
  const cause = next === undefined ? undefined : reviveThrown(next, rest)
  if ('thrown' in error) return error.thrown
  const revived = new Error(error.message, cause === undefined ? undefined : { cause })
  const { name, code, details } = error
  const hidden = { name, stack: error.stack ?? `${name}: ${error.message}` }
  for (const [key, value] of Object.entries(hidden)) {
    Object.defineProperty(revived, key, { value, writable: true, configurable: true })
  }
  return Object.assign(revived, code !== undefined && { code }, details !== undefined && { details })
}

const longestStack = 8000

function isReference(value: unknown): boolean {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

function printLink(link: Link): readonly string[] {
  const indent = '  '.repeat(link.depth + 1)
  const relation = link.relation === '' ? (nameOf(link.value) === undefined ? 'thrown: ' : '') : `${link.relation} `
  const frames = printFrames(link.value).map((line) => `${indent}    ${line}`)
  return [`${indent}${relation}${printThrown(link.value)}`, ...frames]
}

function printThrown(value: unknown): string {
  const name = nameOf(value)
  if (name === undefined) return evidenceOf(value, 300)
  const text = describeThrown(value)
  return text === name ? name : `${name}: ${text}`
}

function printFrames(value: unknown): readonly string[] {
  const stack = stackOf(value)
  const message = peek(value, 'message')
  if (stack === undefined || stack === unreadableText) return stack === undefined ? [] : [stack]
  return framesOf(stack, typeof message === 'string' ? message : '')
}

/** Details as JSON, its parts as text where JSON would lose them; all of them as text where JSON refuses. */
function detailsJson(details: unknown): unknown {
  return guarded(
    () => JSON.parse(JSON.stringify(details, (_key, part: unknown) => holdable(part))),
    describeThrown(details),
  )
}

function holdable(part: unknown): unknown {
  const isLost = typeof part === 'bigint' || typeof part === 'function' || typeof part === 'symbol'
  return isLost || isError(part) || (typeof part === 'number' && !Number.isFinite(part)) ? describeThrown(part) : part
}
