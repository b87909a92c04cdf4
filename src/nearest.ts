/**
 * The candidate that was most likely meant by a misspelt word, or undefined when none is near. Capitals do not count.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: { readonly candidate: string; readonly distance: number } | undefined
  for (const candidate of candidates) {
    const distance = distanceWithin(word.toLowerCase(), candidate.toLowerCase(), allowance(word, candidate))
    if (distance !== undefined && (best === undefined || distance < best.distance)) best = { candidate, distance }
  }
  return best?.candidate
}

/** How many edits still count as a slip of the hand: under half of the longer word, at least one. */
function allowance(a: string, b: string): number {
  return Math.max(1, Math.floor(Math.max(a.length, b.length) * 0.45))
}

/** Edits between two words, two swapped neighbours being one; undefined above `most`, mostly without counting. */
function distanceWithin(a: string, b: string, most: number): number | undefined {
  if (Math.abs(a.length - b.length) > most || Math.max(a.length, b.length) > longestWord) return undefined
  let beforeLast: readonly number[] = []
  let last: readonly number[] = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const change = a[row - 1] === b[column - 1] ? 0 : 1
      const edits = [at(last, column) + 1, at(current, column - 1) + 1, at(last, column - 1) + change]
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (swapped) edits.push(at(beforeLast, column - 2) + 1)
      current.push(Math.min(...edits))
    }
    beforeLast = last
    last = current
  }
  const distance = at(last, b.length)
  return distance <= most ? distance : undefined
}

/** Above this nobody misspells, and the cost is the product of both lengths. */
const longestWord = 200

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity
}
