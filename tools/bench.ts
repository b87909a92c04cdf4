// Runs every bench, one after the other, each in a process of its own; then prints what they measured as one table, and
// writes it to .cache/bench.json. `npm run bench -- jobs` runs bench/jobs.ts alone, `npm run bench -- jobs ok` one of its
// ways, and `npm run bench -- --smoke` each in short.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { print, ROWS, type Row } from '../bench/rows.ts'

const folder = fileURLToPath(new URL('../bench/', import.meta.url))
const cache = fileURLToPath(new URL('../.cache/', import.meta.url))
const [rowsFile, result] = [`${cache}bench-rows.jsonl`, `${cache}bench.json`]
const benches = readdirSync(folder)
  .filter((file) => file.endsWith('.ts') && file !== 'rows.ts')
  .toSorted()
const isBench = (word: string): boolean => benches.includes(`${word}.ts`)
const names = process.argv.slice(2).filter(isBench)
const options = process.argv.slice(2).filter((word) => !isBench(word))
if (names.length === 0 && options.some((word) => !word.startsWith('-'))) {
  throw new Error(
    `There is no such bench: ${options.join(' ')}. There are ${benches.join(', ').replaceAll('.ts', '')}.`,
  )
}

mkdirSync(cache, { recursive: true })
rmSync(rowsFile, { force: true })
for (const file of benches.filter(isWanted)) {
  console.log(`\n${file}`)
  const { status } = spawnSync(process.execPath, ['--expose-gc', folder + file, ...options], {
    stdio: 'inherit',
    env: { ...process.env, [ROWS]: rowsFile },
  })
  if (status !== 0) process.exitCode = 1
}

const rows = existsSync(rowsFile) ? readRows() : []
rmSync(rowsFile, { force: true })
writeFileSync(result, `${JSON.stringify({ node: process.version, at: new Date().toISOString(), rows }, null, 2)}\n`)
if (rows.length > 0) {
  const width = Math.max(...rows.map(({ name }) => name.length))
  console.log(`\n${rows.map((row) => `${row.name.padEnd(width)}  ${print(row)}`).join('\n')}`)
}

function readRows(): readonly Row[] {
  const lines = readFileSync(rowsFile, 'utf8').trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line) as Row)
}

function isWanted(file: string): boolean {
  return names.length === 0 || names.includes(basename(file, '.ts'))
}
