import { lookup as lookupAddress, type LookupAddress } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { InvalidOptionError } from '../errors.ts'

/** What may be connected to besides public addresses: everything, or these hosts, addresses and CIDRs. */
export type AllowPrivate = boolean | readonly string[]

/** Who decides which address may be connected to. */
export interface Guard {
  /** Whether an address may be connected to under this host name. */
  allows(address: string, host: string): boolean
  /** Whether a host may be asked for at all: a literal address is decided here, a name when it is resolved. */
  allowsHost(host: string): boolean
  /** Resolves a name to the addresses that may be connected to; a `BlockedAddress` where none is left. */
  readonly lookup: LookupFunction
}

/** How the addresses of a name are asked for, as `dns.lookup` does with `all`. */
export type Resolve = (
  hostname: string,
  options: { readonly all: true; readonly family?: number },
  callback: (error: Error | null, addresses: LookupAddress[]) => void,
) => void

/** The connection was refused by the guard; it becomes a `BlockedAddressError` where its URL is known. */
export class BlockedAddress extends Error {
  readonly address: string

  constructor(address: string) {
    super(`${address} is no public address`)
    this.address = address
  }
}

/**
 * Denies every address that is not public. It stands where the connection is made, so that neither the spelling of an
 * address nor a name that resolves differently the second time leads around it.
 */
export function guard(allowPrivate: AllowPrivate = false, resolve: Resolve = lookupAddress): Guard {
  const open = readAllowed(allowPrivate)

  const allows = (address: string, host: string): boolean => {
    const plain = withoutZone(address)
    return isPublic(plain) || open.hosts.has(plainHost(host)) || inList(open.addresses, plain) || open.all
  }

  const lookup: LookupFunction = (hostname, options, callback) => {
    const family = options.family === 4 || options.family === 6 ? { family: options.family } : {}
    resolve(hostname, { all: true, ...family }, (error, addresses) => {
      if (error !== null) return callback(error, '')
      const allowed = addresses.filter(({ address }) => allows(address, hostname))
      const [first] = allowed
      if (first === undefined) return callback(new BlockedAddress(blockedText(hostname, addresses)), '')
      return options.all === true ? callback(null, allowed) : callback(null, first.address, first.family)
    })
  }

  // A crawl asks for the same host again and again, and a block list takes its time.
  let last: { readonly host: string; readonly isAllowed: boolean } | undefined
  const allowsHost = (host: string): boolean => {
    if (last?.host === host) return last.isAllowed
    const literal = withoutBrackets(host)
    const isAllowed = isIP(withoutZone(literal)) === 0 || allows(literal, literal)
    last = { host, isAllowed }
    return isAllowed
  }

  return Object.freeze({ allows, allowsHost, lookup })
}

/** Whether an address, as `node:net` writes it, belongs to the public internet. */
export function isPublic(address: string): boolean {
  if (isIP(address) === 4) return !reserved.check(address, 'ipv4')
  return isIP(address) === 6 && globalUnicast.check(address, 'ipv6') && !reserved.check(address, 'ipv6')
}

/** IPv4 addresses that are not public, after the registry of special purpose addresses. */
const reservedV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
]

/** What is not public inside 2000::/3. Outside of it nothing is: loopback, mapped, NAT64, link-local, multicast. */
const reservedV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']

const reserved = listOf([...reservedV4, ...reservedV6])
const globalUnicast = listOf(['2000::/3'])

interface Allowed {
  readonly all: boolean
  readonly hosts: ReadonlySet<string>
  readonly addresses: BlockList
}

function readAllowed(value: AllowPrivate): Allowed {
  if (typeof value === 'boolean') return { all: value, hosts: new Set(), addresses: new BlockList() }
  if (!Array.isArray(value)) throw wrong(value)
  const entries = (value as readonly unknown[]).map(readEntry)
  return {
    all: false,
    hosts: new Set(entries.filter(({ kind }) => kind === 'host').map(({ text }) => text)),
    addresses: listOf(entries.filter(({ kind }) => kind === 'range').map(({ text }) => text)),
  }
}

function readEntry(entry: unknown): { readonly kind: 'host' | 'range'; readonly text: string } {
  if (typeof entry !== 'string') throw wrong(entry)
  const text = withoutBrackets(entry.trim())
  if (isIP(text) !== 0) return { kind: 'range', text: `${text}/${isIP(text) === 4 ? 32 : 128}` }
  const [address = '', bits = '', ...rest] = text.split('/')
  const most = isIP(address) === 4 ? 32 : 128
  if (isIP(address) !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= most && rest.length === 0) {
    return { kind: 'range', text }
  }
  const url = URL.parse(`http://${text}/`)
  const isName = url !== null && url.pathname === '/' && url.port === '' && url.username === '' && !text.includes('/')
  if (isName && /^[^/?#@:]+$/.test(text)) return { kind: 'host', text: plainHost(url.hostname) }
  throw wrong(entry)
}

function wrong(value: unknown): InvalidOptionError {
  return new InvalidOptionError(
    'spider',
    'allowPrivate',
    value,
    `Use true, or a list like ['localhost', '10.0.0.0/8'].`,
  )
}

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const [address = '', bits = ''] = range.split('/')
    list.addSubnet(address, Number(bits), isIP(address) === 4 ? 'ipv4' : 'ipv6')
  }
  return list
}

function inList(list: BlockList, address: string): boolean {
  const family = isIP(address)
  return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6')
}

function blockedText(hostname: string, addresses: readonly LookupAddress[]): string {
  const [first] = addresses
  return first === undefined ? hostname : `${first.address} (${hostname})`
}

const withoutBrackets = (host: string): string =>
  host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
const withoutZone = (address: string): string => address.split('%', 1)[0] ?? address
const plainHost = (host: string): string => withoutBrackets(host).toLowerCase().replace(/\.$/, '')
