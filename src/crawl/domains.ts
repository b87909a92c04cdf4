import { getDomain } from 'tldts'
import { InvalidOptionError } from '../errors.ts'

/** Options by host: `shop.example` is that host, `*.shop.example` every host below it. The longest match counts. */
export type DomainTable<Options> = Readonly<Record<string, Options>>

/** Finds what a table says about a host. */
export type DomainMatch<Options> = (hostname: string) => Options | undefined

/** Reads a table once, so that asking it costs no more than the labels of a host, however long it is. */
export function readDomains<Options>(
  subject: string,
  table: DomainTable<unknown>,
  read: (subject: string, options: unknown) => Options,
): DomainMatch<Options> {
  const exact = new Map<string, Options>()
  const below = new Map<string, Options>()
  for (const [pattern, options] of Object.entries(table)) {
    const isBelow = pattern.startsWith('*.')
    const host = hostOf(isBelow ? pattern.slice(2) : pattern)
    if (host === undefined) {
      const advice = `Write hosts as 'shop.example' or '*.shop.example'.`
      throw new InvalidOptionError(subject, 'domains', pattern, advice)
    }
    const target = isBelow ? below : exact
    target.set(host, read(`domains[${JSON.stringify(pattern)}] of ${subject}`, options))
  }
  return (hostname) => exact.get(hostname) ?? longestBelow(below, hostname)
}

/** Whether two hosts belong to one site: `www.shop.example` and `img.shop.example`, but not two users of `github.io`. */
export function isSameDomain(one: string, other: string): boolean {
  if (one === other) return true
  const domain = domainOf(one)
  return domain !== undefined && domain === domainOf(other)
}

/** The part of a host that somebody registered; undefined for addresses and public suffixes. */
export function domainOf(hostname: string): string | undefined {
  return getDomain(hostname, { allowPrivateDomains: true }) ?? undefined
}

function longestBelow<Options>(below: ReadonlyMap<string, Options>, hostname: string): Options | undefined {
  if (below.size === 0) return undefined
  for (let dot = hostname.indexOf('.'); dot !== -1; dot = hostname.indexOf('.', dot + 1)) {
    const options = below.get(hostname.slice(dot + 1))
    if (options !== undefined) return options
  }
  return undefined
}

function hostOf(text: string): string | undefined {
  if (!/^[^\s/?#@:*]+$/.test(text)) return undefined
  return URL.parse(`http://${text}/`)?.hostname
}
