import { cut } from '../evidence.ts'

/** A column: numbers stand on the right, and what `bends` is cut where there is not room for all. */
export interface Column {
  readonly title: string
  readonly align?: 'right'
  readonly bends?: true
}

const GAP = '  '
const NARROWEST = 8

/** Rows under their titles, aligned. With a width the columns that bend are cut, so that no line breaks. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], width?: number): string[] {
  const widths = columns.map(({ title }, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)))
  if (width !== undefined) squeeze(columns, widths, width)
  const lines = [columns.map(({ title }) => title), ...rows]
  return lines.map((cells) =>
    cells
      .map((cell, at) => fit(cell, columns[at], widths[at] ?? 0))
      .join(GAP)
      .trimEnd(),
  )
}

/** Takes a column's width from the widest that bends, until all fit. */
function squeeze(columns: readonly Column[], widths: number[], width: number): void {
  const gaps = GAP.length * (columns.length - 1)
  let excess = widths.reduce((sum, one) => sum + one, gaps) - width
  for (; excess > 0; excess -= 1) {
    const bending = widths.map((one, at) => (columns[at]?.bends === true ? one : 0))
    const most = Math.max(...bending)
    if (most <= NARROWEST) return
    widths[bending.indexOf(most)] = most - 1
  }
}

function fit(cell: string, column: Column | undefined, width: number): string {
  const text = cut(cell, width)
  return column?.align === 'right' ? text.padStart(width) : text.padEnd(width)
}
