import { posix } from 'node:path'

/**
 * One import line: `from` is the file, `to` what it names: a path of the repository (`src/run.ts`), or the name as it is
 * written (`xstate`, `node:fs`). `typeOnly` is erased before anything runs.
 */
export type Import = { readonly from: string; readonly to: string; readonly typeOnly: boolean }

/** Files by their path from the repository's root, with `/`. */
export type Files = ReadonlyMap<string, string>

const statement =
  /^[ \t]*(?:import|export)\b(\s+type\b(?!\s*(?:,|from\b)))?(?:[^'"`;()]*?\bfrom)?\s*['"]([^'"\n]+)['"]/gm
const dynamic = /^(?![ \t]*(?:\/\/|\*|\/\*)).*?\bimport\(\s*['"]([^'"\n]+)['"]/gm

/** The imports of one file in the order of their lines, re-exports and `import()` included. */
export function importsOf(from: string, text: string): Import[] {
  const found: (Import & { readonly at: number })[] = []
  for (const line of text.matchAll(statement)) {
    found.push({ from, to: targetOf(from, line[2] ?? ''), typeOnly: line[1] !== undefined, at: line.index })
  }
  for (const line of text.matchAll(dynamic)) {
    found.push({ from, to: targetOf(from, line[1] ?? ''), typeOnly: false, at: line.index })
  }
  return found.toSorted((a, b) => a.at - b.at).map(({ at: _, ...rest }) => rest)
}

function targetOf(from: string, written: string): string {
  return written.startsWith('.') ? posix.join(posix.dirname(from), written) : written
}

/** Every cycle once, as the files on the way with the first one again at the end. Imports of types count as well. */
export function cyclesOf(imports: readonly Import[]): string[][] {
  const targets = Map.groupBy(imports, (line) => line.from)
  const cycles: string[][] = []
  const finished = new Set<string>()

  function visit(file: string, way: readonly string[]): void {
    const before = way.indexOf(file)
    if (before >= 0) cycles.push([...way.slice(before), file])
    if (before >= 0 || finished.has(file)) return
    for (const line of targets.get(file) ?? []) visit(line.to, [...way, file])
    finished.add(file)
  }

  for (const file of targets.keys()) visit(file, [])
  return cycles
}
