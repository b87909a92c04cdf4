/*
 * The parts of a URL that WHATWG's parser wrote: http or https, without what signs in, its path beginning with the first
 * slash behind the host. To cut it is a twentieth of parsing it again.
 */

/** Behind `https://`, or inside the host. */
const INSIDE_HOST = 8

/** Scheme, host and port. */
export function originOf(href: string): string {
  return href.slice(0, href.indexOf('/', INSIDE_HOST))
}

/** Name and port, as it stands in paths; the port of the scheme is left out. */
export function hostOf(href: string): string {
  return href.slice(href.charCodeAt(4) === COLON ? 7 : 8, href.indexOf('/', INSIDE_HOST))
}

/** The name without the port. */
export function hostnameOf(href: string): string {
  const host = hostOf(href)
  const at = host.lastIndexOf(':')
  return at === -1 || host.endsWith(']') ? host : host.slice(0, at)
}

/** Path and query: what a server is asked for. */
export function targetOf(href: string): string {
  const from = href.indexOf('/', INSIDE_HOST)
  const hash = href.indexOf('#', from)
  return hash === -1 ? href.slice(from) : href.slice(from, hash)
}

const COLON = 58
