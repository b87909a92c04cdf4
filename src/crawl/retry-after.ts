/** Milliseconds a `Retry-After` asks for, as seconds or as a date; undefined when it says neither. */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  const text = header?.trim()
  if (text === undefined || text === '') return undefined
  if (/^\d{1,12}(?:\.\d{1,6})?$/.test(text)) return Math.ceil(Number(text) * 1000)
  if (!/[a-z]/i.test(text)) return undefined // `Date.parse` makes a year of `-5`
  const date = Date.parse(text.slice(0, 100))
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
