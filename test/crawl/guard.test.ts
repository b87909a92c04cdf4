import { isIPv4, type LookupFunction } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BlockedAddress, guard, isPublic, type Guard, type Resolve } from '../../src/crawl/guard.ts'

describe('isPublic', () => {
  test.each([
    '0.0.0.0',
    '0.1.2.3',
    '10.0.0.1',
    '100.64.0.1',
    '100.127.255.255',
    '127.0.0.1',
    '127.255.255.254',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.1',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.19.255.255',
    '198.51.100.7',
    '203.0.113.9',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:8.8.8.8',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b::808:808',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::',
    '3fff::1',
    'fc00::1',
    'fd12::1',
    'fe80::1',
    'fec0::1',
    'ff02::1',
    '5f00::1',
    'not an address',
    '',
  ])('denies %s', (address) => expect(isPublic(address)).toBe(false))

  test.each([
    '1.1.1.1',
    '8.8.8.8',
    '100.63.255.255',
    '100.128.0.1',
    '172.15.255.255',
    '172.32.0.1',
    '192.167.255.255',
    '198.20.0.1',
    '223.255.255.255',
    '2606:4700:4700::1111',
    '2a00:1450:4001::1',
    '2003::1',
  ])('allows %s', (address) => expect(isPublic(address)).toBe(true))
})

describe('every spelling of a private address', () => {
  const octet = fc.nat(255)
  const privateAddress = fc.oneof(
    fc.tuple(fc.constant(127), octet, octet, octet),
    fc.tuple(fc.constant(10), octet, octet, octet),
    fc.tuple(fc.constant(169), fc.constant(254), octet, octet),
    fc.tuple(fc.constant(192), fc.constant(168), octet, octet),
  )
  const radix = fc.constantFrom(8, 10, 16)
  const write = (value: number, base: number): string =>
    base === 10 ? String(value) : base === 8 ? `0${value.toString(8)}` : `0x${value.toString(16)}`

  test('is denied as a host: decimal, octal, hexadecimal, in one to four parts, mapped', () => {
    fc.assert(
      fc.property(
        privateAddress,
        fc.integer({ min: 1, max: 4 }),
        fc.array(radix, { minLength: 4, maxLength: 4 }),
        (octets, parts, bases) => {
          const last = octets.slice(parts - 1).reduce((sum, part) => sum * 256 + part, 0)
          const spelt = [...octets.slice(0, parts - 1), last]
            .map((part, index) => write(part, bases[index] ?? 10))
            .join('.')
          const host = new URL(`http://${spelt}/`).hostname
          expect(isIPv4(host)).toBe(true)
          expect(guard().allowsHost(host)).toBe(false)
          expect(guard().allowsHost(new URL(`http://[::ffff:${octets.join('.')}]/`).hostname)).toBe(false)
          expect(guard().allowsHost(new URL(`http://${spelt}./`).hostname)).toBe(false)
        },
      ),
    )
  })

  test.each([
    'http://2130706433/',
    'http://0x7f.1/',
    'http://[::ffff:127.0.0.1]/',
    'http://017700000001/',
    'http://①②⑦.0.0.1/',
    'http://[::1]/',
    'http://[fe80::1]/',
  ])('is denied in %s', (url) => expect(guard().allowsHost(new URL(url).hostname)).toBe(false))
})

describe('allowPrivate', () => {
  test.each<[readonly string[], string, string, boolean]>([
    [['10.0.0.0/8'], '10.1.2.3', 'intern.example', true],
    [['10.0.0.0/8'], '11.1.2.3', 'intern.example', true],
    [['10.0.0.0/8'], '127.0.0.1', 'intern.example', false],
    [['localhost'], '127.0.0.1', 'LOCALHOST.', true],
    [['localhost'], '127.0.0.1', 'evil.example', false],
    [['::1'], '::1', 'x', true],
    [['[::1]'], '::1', 'x', true],
    [['fd00::/8'], 'fd12::1', 'x', true],
    [['fd00::/8'], 'fe80::1%eth0', 'x', false],
    [['127.0.0.1'], '127.0.0.2', 'x', false],
  ])('%j for %s under the name %s: %s', (allowPrivate, address, host, allowed) => {
    expect(guard(allowPrivate).allows(address, host)).toBe(allowed)
  })

  test('true opens everything', () => expect(guard(true).allows('169.254.169.254', 'x')).toBe(true))

  test.each(['10.0.0.0/33', 'http://localhost', 'localhost:80', 'a/b', '', 'user@host', '10.0.0.0/8/8', 7])(
    'refuses %j and says what to write',
    (entry) => {
      expect(() => guard([entry as string])).toThrow(`Use true, or a list like ['localhost', '10.0.0.0/8'].`)
    },
  )
})

describe('lookup', () => {
  const named =
    (...addresses: readonly string[]): Resolve =>
    (_name, _options, callback) =>
      callback(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      )
  const ask = (from: Guard, all = true): Promise<unknown> =>
    new Promise((resolve) => {
      const lookup: LookupFunction = from.lookup
      lookup('name.example', { all }, (error, address) => resolve(error ?? address))
    })

  test('gives only the addresses that may be connected to', async () => {
    expect(await ask(guard(false, named('127.0.0.1', '8.8.8.8', '::1')))).toEqual([{ address: '8.8.8.8', family: 4 }])
    expect(await ask(guard(false, named('10.0.0.1', '8.8.8.8')), false)).toBe('8.8.8.8')
  })

  test('refuses a name that has none, and tells where it leads', async () => {
    const refusal = await ask(guard(false, named('169.254.169.254')))
    expect(refusal).toBeInstanceOf(BlockedAddress)
    expect((refusal as BlockedAddress).address).toBe('169.254.169.254 (name.example)')
  })

  test('decides anew each time, so that a name that changes gains nothing', async () => {
    const answers = ['8.8.8.8', '127.0.0.1']
    const rebinding = guard(false, (name, options, callback) => named(answers.shift() ?? '')(name, options, callback))
    expect(await ask(rebinding)).toEqual([{ address: '8.8.8.8', family: 4 }])
    expect(await ask(rebinding)).toBeInstanceOf(BlockedAddress)
  })
})
