// Runs every bench, one after the other, each in a process of its own. `npm run bench -- --smoke` asks only for growth;
// `npm run bench -- spawn` runs bench/spawn.ts alone.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../bench/', import.meta.url))
const options = process.argv.slice(2).filter((word) => word.startsWith('-'))
const names = process.argv.slice(2).filter((word) => !word.startsWith('-'))

for (const file of readdirSync(folder).filter(isWanted).toSorted()) {
  console.log(`\n${file}`)
  const { status } = spawnSync(process.execPath, ['--expose-gc', folder + file, ...options], { stdio: 'inherit' })
  if (status !== 0) process.exitCode = 1
}

function isWanted(file: string): boolean {
  return file.endsWith('.ts') && (names.length === 0 || names.includes(basename(file, '.ts')))
}
