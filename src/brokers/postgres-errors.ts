import { BrokerError } from '../errors.ts'
import { peek } from '../evidence.ts'
import { redact } from '../secrets.ts'
import { describeThrown } from '../thrown.ts'

/** The code by which Postgres says what is the matter; undefined where it said nothing. */
export function stateOf(error: unknown): string | undefined {
  const code = peek(error, 'code')
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !code.startsWith('E') ? code : undefined
}

/** Whether a call failed because of the server or the way to it, and not because of what it asked for. */
export function isOfTheWay(error: unknown): boolean {
  if (error instanceof BrokerError) return error.code === 'away'
  const state = stateOf(error)
  return state === undefined || /^(?:08|57P|53300)/.test(state)
}

/** A job of that id is there already. */
export const isClash = (error: unknown): boolean =>
  stateOf(error) === '23505' && peek(error, 'constraint') === 'jobs_pkey'

/** What Postgres, or the way to it, said: as what is the matter, and what to do. */
export function explain(error: unknown, name: string, schema: string): unknown {
  if (error instanceof BrokerError) return error
  const said = redact(String(peek(error, 'message') ?? ''))
  const state = stateOf(error)
  const make = (code: ConstructorParameters<typeof BrokerError>[0], what: string): BrokerError =>
    new BrokerError(code, `${name} ${what}`, { cause: error })
  if (state === undefined) {
    if (/^SASL|password/i.test(said))
      return make('denied', `does not let us in: ${said}. Correct user and password of connection.`)
    if (/does not support SSL/i.test(said))
      return make('denied', `does not speak TLS: ${said}. Leave ssl out of connection.`)
    return isWay(error, said) ? away(name, describeThrown(error), error) : error
  }
  if (state.startsWith('28'))
    return make('denied', `does not let us in: ${said}. Correct user and password of connection.`)
  if (state === '3D000') return make('away', `has no such database: ${said}. Create it, or correct connection.`)
  if (state === '42501') {
    return make('denied', `does not let us use schema "${schema}": ${said}. Let its user own that schema.`)
  }
  if (state === '25006') {
    return make('read-only', 'takes no writes: it is a replica, or set to read only. Give the address of the primary.')
  }
  if (state === '53100' || state === '53200' || state === '54000') {
    return make('full', `has no room: ${said}. Give it more disk or memory.`)
  }
  if (state === '53300') return make('away', `has no connection left: ${said}. Raise max_connections.`)
  if (/^(?:3F000|42P01|42883|42703)$/.test(state)) {
    return make('away', `has no store in schema "${schema}" any more: ${said}. Stop the system and start it again.`)
  }
  if (/^(?:08|57P)/.test(state)) return away(name, said, error)
  return error
}

export function away(name: string, because: string, cause?: unknown): BrokerError {
  const text = `${name} is away: ${because}. Outcomes are kept and sent again; bring it back.`
  return new BrokerError('away', text, cause === undefined ? undefined : { cause })
}

function isWay(error: unknown, said: string): boolean {
  if (peek(error, 'syscall') !== undefined || /^E[A-Z_]+$/.test(String(peek(error, 'code') ?? ''))) return true
  return /connection|timeout|socket|closed|terminated|queryable|AggregateError/i.test(
    `${said} ${String(peek(error, 'name'))}`,
  )
}
