/** What was found, beside what was wanted. */
export interface Row {
  readonly name: string
  readonly value: number
  readonly unit: string
  readonly goal: { readonly atMost: number } | { readonly atLeast: number }
  readonly holds: boolean
}

export function rowOf(name: string, value: number, unit: string, goal: Row['goal']): Row {
  const holds = 'atMost' in goal ? value <= goal.atMost : value >= goal.atLeast
  return { name, value, unit, goal, holds }
}

export function print(rows: readonly Row[]): void {
  const width = Math.max(...rows.map(({ name }) => name.length))
  for (const { name, value, unit, goal, holds } of rows) {
    const digits = unit === '' || Math.abs(value) < 10 ? 2 : 0
    const said = `${value.toFixed(digits)} ${unit}`.trim()
    const wanted = 'atMost' in goal ? `<= ${goal.atMost}` : `>= ${goal.atLeast}`
    console.log(`${name.padEnd(width)}  ${said.padStart(11)}  ${wanted.padStart(8)}  ${holds ? 'holds' : 'MISSED'}`)
  }
}
