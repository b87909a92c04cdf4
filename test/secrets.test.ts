import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { redact, redactData } from '../src/secrets.ts'

const MASK = '[redacted]'

describe('redact', () => {
  test.each([
    ['postgres://app:hunter2@db.example:5432/x', `postgres://app:${MASK}@db.example:5432/x`],
    ['redis://:hunter2@localhost', `redis://:${MASK}@localhost`],
    ['Authorization: Bearer abc.def-ghi', `Authorization: Bearer ${MASK}`],
    ['authorization: hunter2', `authorization: ${MASK}`],
    ['{"authorization":"Basic aGVsbG8="}', `{"authorization":"Basic ${MASK}"}`],
    ['sent Bearer abcdefgh12345 along', `sent Bearer ${MASK} along`],
    [
      'https://api.telegram.org/bot123456:AAE-abcdefghijklmnopqrst_uvwxyz12345/getMe',
      `https://api.telegram.org/bot${MASK}/getMe`,
    ],
    ['password=hunter2&user=me', `password=${MASK}&user=me`],
    ['?access_token=hunter2&x=1', `?access_token=${MASK}&x=1`],
    [`{"dbPassword": "hunter \\" 2", "user": "me"}`, `{"dbPassword": ${MASK}, "user": "me"}`],
    ['token: http://bob:hunter2@host/x is wrong', `token: ${MASK} is wrong`],
    ['includes credentials: http://bob:hunter2@host/', `includes credentials: http://bob:${MASK}@host/`],
    ['API_KEY: hunter2', `API_KEY: ${MASK}`],
    ['set-cookie: hunter2', `set-cookie: ${MASK}`],
    ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl is expired', `${MASK} is expired`],
    [`ghp_${'a1'.repeat(18)}`, MASK],
    [`key ${'AKIA'}ABCDEFGHIJKLMNOP`, `key ${MASK}`],
    ['client_secret = abc, next', `client_secret = ${MASK}, next`],
    ['-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----!', `${MASK}!`],
    [`sk-proj-${'a1'.repeat(20)}`, MASK],
  ])('hides the secret in %s', (text, shown) => {
    expect(redact(text)).toBe(shown)
    expect(redact(redact(text)), 'once more changes nothing').toBe(shown)
  })

  test.each([
    'app/media/resize/job:812 failed after 5 attempts in 12.4s: connect ECONNREFUSED 10.0.0.3:443',
    'https://img.example:8080/cat.png?size=3',
    'Unexpected token < in JSON at position 0',
    'task "resize" was not over after 30s, attempt 2 of 5.',
    '2026-11-21T12:09:29.665Z',
    'see https://example.com:8080/a/b@2 for more',
  ])('leaves %s as it is', (text) => {
    expect(redact(text)).toBe(text)
  })

  test('hides a password wherever it stands between other texts', () => {
    const secret = fc.stringMatching(/^[A-Za-z0-9]{12,30}$/)
    const around = fc.string({ maxLength: 40 }).map((text) => text.replaceAll(/["'\\]/g, ''))
    const forms = [
      (s: string) => `password=${s}`,
      (s: string) => `"token":"${s}"`,
      (s: string) => `https://user:${s}@host/`,
      (s: string) => `Authorization: Bearer ${s}`,
    ]
    fc.assert(
      fc.property(around, around, secret, fc.constantFrom(...forms), (before, after, value, form) => {
        expect(redact(`${before} ${form(value)} ${after}`)).not.toContain(value)
      }),
    )
  })

  test('changes nothing more the second time, whatever the text is', () => {
    const part = fc.oneof(fc.string(), fc.constantFrom('password=', 'token: ', '://', ':', '@', 'bearer ', 'eyJ', '"'))
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const once = redact(parts.join(''))
        expect(redact(once)).toBe(once)
      }),
    )
  })

  test('ends at once for texts made to be slow', () => {
    const began = performance.now()
    for (const part of [
      'a',
      'password=',
      '"',
      'https://a:',
      'Authorization:',
      ' ',
      '\\"',
      '1:',
      'eyJ.',
      '-----BEGIN ',
    ]) {
      redact(part.repeat(20_000))
    }
    expect(performance.now() - began).toBeLessThan(2_000)
  })
})

describe('redactData', () => {
  test('hides values under names that tell, and secrets inside of texts, at any depth', () => {
    const data = {
      user: 'me',
      password: 'x',
      list: [{ apiKey: 'y', pin: 3 }, 'redis://:z@h'],
      tokens: { a: 'Bearer abcdefghi' },
    }
    expect(redactData(data)).toEqual({
      user: 'me',
      password: MASK,
      list: [{ apiKey: MASK, pin: 3 }, `redis://:${MASK}@h`],
      tokens: { a: `Bearer ${MASK}` },
    })
  })
})
