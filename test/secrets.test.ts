import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { redact } from '../src/secrets.ts'

describe('redact', () => {
  test.each([
    ['postgres://app:hunter2@db:5432/shop is away', 'postgres://app:[redacted]@db:5432/shop is away'],
    ['redis://:hunter2@cache', 'redis://:[redacted]@cache'],
    ['Authorization: Bearer abcdef123456', 'Authorization: Bearer [redacted]'],
    [`https://api.telegram.org/bot123456789:${'A'.repeat(35)}/getMe`, 'https://api.telegram.org/bot[redacted]/getMe'],
    ['GET /items?api_key=0123456789abcdef&page=2', 'GET /items?api_key=[redacted]&page=2'],
    ['{"password":"x","user":"ann"}', '{"password":"[redacted]","user":"ann"}'],
    ['client_secret = abc, next', 'client_secret = [redacted], next'],
    [`token ghp_${'a1'.repeat(18)} refused`, 'token [redacted] refused'],
    ['jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl', 'jwt [redacted]'],
    ['-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----!', '[redacted]!'],
  ])('hides the secret of %j', (text, left) => {
    expect(redact(text)).toBe(left)
  })

  test.each([
    'connect ECONNREFUSED 10.0.0.3:443',
    'app/media/resize/job:812 failed after 5 attempts in 12.4s: x is undefined',
    'Unexpected token } in JSON at position 12',
    'see https://example.com:8080/a/b@2 for more',
  ])('leaves %j as it is', (text) => {
    expect(redact(text)).toBe(text)
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

  test('takes time in proportion to the text', () => {
    const text = 'a-'.repeat(50_000) + '-----BEGIN PRIVATE KEY-----'.repeat(100)
    const began = performance.now()
    redact(text)
    expect(performance.now() - began).toBeLessThan(2_000)
  })
})
