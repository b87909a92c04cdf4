import { readUrl } from './url-identity.ts'

/** One request on the wire: a request and its redirects are a chain of these. */
export interface Hop {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array | undefined
}

/** What follows from a redirect. */
export type NextHop = { readonly hop: Hop } | { readonly bad: string | undefined }

const statuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** Whether a status sends on to another URL. */
export function isRedirect(status: number): boolean {
  return statuses.has(status)
}

/** The hop a redirect leads to: what it may keep of method, body and headers; or the target that is none. */
export function nextHop(from: Hop, status: number, location: string | undefined): NextHop {
  if (location === undefined || location === '') return { bad: undefined }
  const read = readUrl(readLocation(location), from.url)
  if ('bad' in read) return { bad: location }
  const { url, authorization } = read
  if (url.hash === '') url.hash = URL.parse(from.url)?.hash ?? ''
  const becomesGet = status === 303 ? from.method !== 'HEAD' : status < 303 && from.method === 'POST'
  const method = becomesGet ? 'GET' : from.method
  const kept = URL.parse(from.url)?.origin === url.origin ? from.headers : withoutHeaders(from.headers, signsIn)
  const headers = becomesGet ? withoutHeaders(kept, ofTheBody) : kept
  return {
    hop: {
      url: url.href,
      method,
      headers: authorization === undefined ? headers : { ...headers, authorization },
      body: becomesGet ? undefined : from.body,
    },
  }
}

/** What signs in at one site is none of another's business. */
export const signsIn: readonly string[] = ['authorization', 'cookie', 'proxy-authorization']

const ofTheBody = ['content-type', 'content-encoding', 'content-language', 'content-location', 'content-length']

/** Headers without some of them. */
export function withoutHeaders(
  headers: Readonly<Record<string, string>>,
  names: readonly string[],
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)))
}

/** A header comes as one character per byte; what is valid UTF-8 was meant as it. */
function readLocation(location: string): string {
  if (!/[\u0080-\u00ff]/.test(location)) return location
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(location, 'latin1'))
  } catch {
    return location
  }
}
