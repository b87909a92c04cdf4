import type { ResponseHeaders } from './exchange.ts'

/** What a request came to in the end: the last hop, its body decoded. */
export interface Response {
  /** The final URL, after redirects. */
  readonly url: string
  readonly status: number
  /** Names in lower case; what came more than once is a list. */
  readonly headers: ResponseHeaders
  readonly body: Buffer
  /** The URLs that sent on to the next one, in order. */
  readonly redirects: readonly string[]
  readonly fromCache: boolean
  /** The proxy it came through. */
  readonly proxy: string | undefined
  /** Bytes of all bodies on the wire, redirects included. */
  readonly wireBytes: number
}

/** A header as one line; of several the first. */
export function headerOf(headers: ResponseHeaders, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' || value === undefined ? value : value[0]
}

/** A header whose lines are one list by the rules of HTTP. */
export function listHeaderOf(headers: ResponseHeaders, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' || value === undefined ? value : value.join(', ')
}
