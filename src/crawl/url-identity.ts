import { hash } from 'node:crypto'

/** A URL a request can go to, or why none can. */
export type ReadUrl = { readonly url: URL; readonly authorization: string | undefined } | { readonly bad: BadUrl }

/** Why a URL cannot be fetched. */
export type BadUrl = 'does not parse' | 'has no host' | 'is not http or https' | 'is too long'

/** Longer ones are no addresses but data; servers refuse a fraction of it. */
const LONGEST_URL = 16_384

/** Reads a URL, against a base where one is given. What signs in leaves the URL and becomes a header. */
export function readUrl(text: string, base?: string): ReadUrl {
  if (text.length > LONGEST_URL) return { bad: 'is too long' }
  const url = base === undefined ? URL.parse(text) : URL.parse(text, base)
  if (url === null) return { bad: noHost.test(text) ? 'has no host' : 'does not parse' }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return { bad: 'is not http or https' }
  if (url.hostname === '') return { bad: 'has no host' }
  if (url.href.length > LONGEST_URL) return { bad: 'is too long' }
  return { url, authorization: takeCredentials(url) }
}

/** Whether a URL says all by itself: its base would be parsed for nothing. */
export function isWhole(url: unknown): boolean {
  return typeof url === 'string' && /^https?:\/\//.test(url)
}

const noHost = /^\s*https?:[\\/]*(?:[?#:]|$)/i

/** What two requests are compared by: they are the same work when their identities are equal. */
export interface IdentityParts {
  readonly name: string
  readonly method: string
  /** As WHATWG writes it. */
  readonly url: string
  readonly body?: string | Uint8Array | undefined
  readonly uniqueKey?: string | undefined
  readonly taskTryCount: number
}

/**
 * The identity of a request: name, method, URL without its fragment, body. The order of a query counts. From the second
 * task try on the count is part of it, so that a page can be sent again by hand, once per count.
 */
export function identityOf(parts: IdentityParts): string {
  const { name, method, url, body, uniqueKey, taskTryCount } = parts
  const what = uniqueKey === undefined ? [method, withoutFragment(url), hashBody(body)] : ['key', uniqueKey]
  const again = taskTryCount > 1 ? [taskTryCount] : []
  return digest(JSON.stringify([name, ...what, ...again]))
}

/** A URL without its fragment, which no server ever sees. */
export function withoutFragment(url: string): string {
  const at = url.indexOf('#')
  return at === -1 ? url : url.slice(0, at)
}

function takeCredentials(url: URL): string | undefined {
  if (url.username === '' && url.password === '') return undefined
  const authorization = basicAuthorization(url)
  url.username = ''
  url.password = ''
  return authorization
}

/** The header that signs in with what stands in a URL before the `@`. */
export function basicAuthorization(url: URL): string {
  return `Basic ${Buffer.from(`${decodePart(url.username)}:${decodePart(url.password)}`).toString('base64')}`
}

function decodePart(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text // `%` that escapes nothing stands for itself
  }
}

function hashBody(body: string | Uint8Array | undefined): string {
  return body === undefined ? '' : digest(body)
}

/** 132 bits are enough to tell a crawl's requests apart, and short enough to keep one per seen URL. */
function digest(data: string | Uint8Array): string {
  return hash('sha256', data, 'base64url').slice(0, 22)
}
