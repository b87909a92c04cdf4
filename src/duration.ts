/** The units a duration can be written in, longest first: the order in which `formatDuration` tries them. */
const units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const

/** A unit of time in a text like `'30s'`. */
export type DurationUnit = keyof typeof units

/** A span of time: milliseconds, or a text like `'250ms'`, `'30s'`, `'1.5h'`. */
export type Duration = number | `${number}${DurationUnit}`

const pattern = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/

/** Whole milliseconds of a duration, or undefined when the value is none. Infinity is none: whoever allows it asks first. */
export function parseDuration(value: unknown): number | undefined {
  const ms = typeof value === 'string' ? parseText(value) : value
  if (typeof ms !== 'number' || !Number.isFinite(ms) || ms < 0) return undefined
  return Math.abs(Math.round(ms)) // abs: minus zero is zero
}

/** A duration as a short text for sentences: exact where three digits and one decimal allow it, else rounded. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) return String(ms)
  if (ms < 0) return `-${formatDuration(-ms)}`
  const whole = Math.round(ms)
  const unit = unitNames.find((name) => isExact(whole, name)) ?? unitNames.find((name) => reaches(whole, name)) ?? 'ms'
  return `${toOneDecimal(whole, unit)}${unit}`
}

const unitNames = Object.keys(units) as readonly DurationUnit[]

function parseText(text: string): number | undefined {
  const [, amount, unit] = pattern.exec(text) ?? []
  return unit === undefined ? undefined : Number(amount) * units[unit as DurationUnit]
}

function isExact(ms: number, unit: DurationUnit): boolean {
  const amount = ms / units[unit]
  return amount >= 1 && amount < 1000 && toOneDecimal(ms, unit) === amount
}

function reaches(ms: number, unit: DurationUnit): boolean {
  return toOneDecimal(ms, unit) >= 1 // 59 999 ms is 1m, not 60s; 0.96 of a unit is 1 of it
}

function toOneDecimal(ms: number, unit: DurationUnit): number {
  return Math.round((ms * 10) / units[unit]) / 10
}
