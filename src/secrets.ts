/** What is shown instead of a secret. */
export const MASK = '[redacted]'

/** Names whose values nobody should see, and what may follow in them; `max_tokens` is a number of words. */
const secretName = [
  'password|passwd|passphrase|secret|token(?!s)|cookie|signature',
  '(?:api|access|private)[_-]?key',
].join('|')
const wholeName = '\\b(?:pwd|auth)'
const value = `(?!\\[redacted)(?:"(?:[^"\\\\]|\\\\.){0,4000}"?|'[^']{0,4000}'?|(?:\\[redacted\\]|[^\\s"'&,;)}\\]]){1,4000})`

/** What looks like a secret in a text, and what stays of it. The classes are disjoint, so that each runs in linear time. */
const patterns: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,40}-----)?/g, MASK],
  // The password of a URL: postgres://user:password@host
  [/([a-z][a-z0-9+.-]{1,20}:\/\/[^\s:/@]{0,200}):[^\s/@]{1,500}@/gi, `$1:${MASK}@`],
  // Headers: authorization: Bearer abc
  [
    /\b((?:proxy-)?authorization["']?\s{0,5}[:=]\s{0,5}["']?(?:(?:bearer|basic|digest|token|bot)\s{1,5})?)[^\s"',;]{1,4000}/gi,
    `$1${MASK}`,
  ],
  [/\b(bearer|basic)(\s{1,5})[\w.~+/=-]{8,4000}/gi, `$1$2${MASK}`],
  // Telegram: 123456:ABC-DEF
  [/(?<!\d)\d{3,20}:[\w-]{20,100}/g, MASK],
  // JSON web tokens, and keys that tell by their first letters whose they are
  [/\beyJ[\w-]{4,4000}\.[\w-]{4,4000}(?:\.[\w-]{0,4000})?/g, MASK],
  [/\b(?:sk|pk|rk)[-_](?:live|test|proj|ant)?[-_]?[\w-]{16,400}/g, MASK],
  [/\b(?:gh[opsur]_|github_pat_|glpat-|xox[abeoprs]-|npm_|hf_)[\w-]{10,400}/g, MASK],
  [/\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{30,50}/g, MASK],
  // name=value and "name": "value"
  [new RegExp(`((?:(?:${secretName})[\\w-]{0,40}|${wholeName})["']?\\s{0,5}[=:]\\s{0,5})${value}`, 'gi'), `$1${MASK}`],
]

const isSecretName = new RegExp(`${secretName}|^(?:pwd|auth|(?:proxy-)?authorization)$`, 'i')

/** A text without what looks like a secret: passwords in URLs, authorization headers, bot tokens, keys, `password=…`. */
export function redact(text: string): string {
  return patterns.reduce((rest, [pattern, kept]) => rest.replace(pattern, kept), text)
}

/** Whether a key says, by its words and in any spelling, that its value is a secret; `tokenCount` and `author` do not. */
export function isSecretKey(key: string): boolean {
  const words = wordsOf(key)
  const has = words.some((word, at) => secretWords.has(word) || secretPairs.has(`${word} ${words[at + 1] ?? ''}`))
  return has && !harmlessEnds.has(words.at(-1) ?? '')
}

/** Values of environment variables whose names say that they are secret, the longest first. */
export function secretsOf(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  const isSecret = (key: string): boolean => !key.endsWith('PWD') && isSecretKey(key) // PWD is a folder here
  const values = Object.entries(env).map(([key, value = '']) => (isSecret(key) && value.length >= 8 ? value : ''))
  return [...new Set(values)].filter((value) => value !== '').toSorted((one, other) => other.length - one.length)
}

const secretWords = new Set(
  'password passwd passphrase pwd secret secrets token authorization cookie cookies credential credentials bearer apikey'.split(
    ' ',
  ),
)
const secretPairs = new Set(['api key', 'private key', 'access key', 'signing key', 'encryption key', 'set cookie'])
/** What is told about a secret is none: `tokenCount`, `password_length`. */
const harmlessEnds = new Set('count length size limit type kind expiry expires expiration age usage budget'.split(' '))

function wordsOf(key: string): readonly string[] {
  const spaced = key
    .slice(0, 200)
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
  return spaced
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .map((word) => word.replace(/\d+$/, ''))
    .filter((word) => word !== '')
}

/** A copy of plain data without secrets: in texts, and under names that tell them. */
export function redactData(value: unknown): unknown {
  if (typeof value === 'string') return redact(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(redactData)
  const entries = Object.entries(value).map(([key, part]) => [key, isSecret(key, part) ? MASK : redactData(part)])
  return Object.fromEntries(entries)
}

function isSecret(name: string, value: unknown): boolean {
  return (typeof value === 'string' || typeof value === 'number') && isSecretName.test(name)
}
