import { appendFileSync } from 'node:fs'

/** One line of the table that `tools/bench.ts` prints at the end, and of the JSON it writes. */
export interface Row {
  readonly name: string
  /** What was measured: a ratio, or a number of `unit`. */
  readonly ratio: number
  readonly unit: string
  /** A goal that is not reached fails the run; an aim is only told. Both are a least, or with `isMost` a most. */
  readonly goal: number
  readonly aim: number | undefined
  readonly isMost: boolean
  readonly holds: boolean
}

export interface Target {
  readonly goal: number
  readonly aim?: number
  /** Of the number. @default 'x', a ratio */
  readonly unit?: string
}

/** Names the file that takes the rows of a run; set by `tools/bench.ts`. */
export const ROWS = 'ROOTCATCH_BENCH_ROWS'

/** Prints and hands on a number that must reach its goal; whether it does. */
export function atLeast(name: string, ratio: number, target: Target): boolean {
  return tell(rowOf(name, ratio, target, false))
}

/** Prints and hands on a number that must not pass its goal; whether it keeps below. */
export function atMost(name: string, ratio: number, target: Target): boolean {
  return tell(rowOf(name, ratio, target, true))
}

/** As people read it: `x 26.4, at least 25: holds`. */
export function print({ ratio, unit, goal, aim, isMost, holds }: Row): string {
  const value = unit === 'x' ? `x ${say(ratio)}` : `${say(ratio)} ${unit}`
  const wanted = `${isMost ? 'at most' : 'at least'} ${say(goal)}${aim === undefined ? '' : `, aim ${say(aim)}`}`
  return `${value.padEnd(14)} ${wanted}: ${holds ? 'holds' : 'missed'}`
}

export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] as number
}

function rowOf(name: string, ratio: number, { goal, aim, unit = 'x' }: Target, isMost: boolean): Row {
  const holds = isMost ? ratio <= goal : ratio >= goal
  return { name, ratio, unit, goal, aim, isMost, holds }
}

function tell(row: Row): boolean {
  console.log(`${row.name}: ${print(row)}`)
  const file = process.env[ROWS]
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(row)}\n`)
  if (!row.holds) process.exitCode = 1
  return row.holds
}

function say(number: number): string {
  return Math.abs(number) >= 100 ? String(Math.round(number)) : String(Number(number.toFixed(2)))
}
