/** What stands in a text for a secret. */
const hidden = '[redacted]'

/** What a secret looks like, with the text to leave of it. Each repetition is bounded: the text may be anything. */
const secrets: readonly (readonly [pattern: RegExp, left: string])[] = [
  [/-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|$)/g, hidden],
  [/(:\/\/[^\s/:@]{0,100}):[^\s/@]{1,200}@/g, `$1:${hidden}@`], // postgres://user:password@host
  [/\b(bearer|basic)(\s+)[\w.~+/=-]{8,}/gi, `$1$2${hidden}`],
  [/(?<!\d)\d{6,12}:[\w-]{30,}/g, hidden], // a Telegram bot
  [/\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?/g, hidden], // a JSON web token
  [
    /\b(?:(?:AKIA|ASIA)[A-Z0-9]{16}|gh[opsru]_\w{20,}|github_pat_\w{20,}|xox[abprs]-[\w-]{10,}|sk[-_][\w-]{16,})/g,
    hidden,
  ],
  [
    /([\w-]{0,40}(?:passw(?:or)?d|passphrase|secret)[\w-]{0,40}["']?\s{0,9}[:=]\s{0,9}["']?)[^\s"'&,;]+/gi,
    `$1${hidden}`,
  ],
  [
    /([\w-]{0,40}(?:token|api[_-]?key|access[_-]?key|authorization|cookie|session)[\w-]{0,40}["']?\s{0,9}[:=]\s{0,9}["']?)[^\s"'&,;]{8,}/gi,
    `$1${hidden}`,
  ],
]

/**
 * A text without what looks like a secret in it: passwords in URLs, tokens, keys. It knows common forms only; the way to
 * keep a secret out of a log is not to put it into a message.
 */
export function redact(text: string): string {
  return secrets.reduce((rest, [pattern, left]) => rest.replace(pattern, left), text)
}
