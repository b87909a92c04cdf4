import '../../src/node-version.ts'
import { statSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { runNode, tsc } from './child.ts'

/** Vitest's global set-up: whoever starts a test without `npm test` gets a fresh dist too. */
export async function setup(): Promise<void> {
  if (await isBuilt()) return
  const build = await runNode([tsc, '-p', 'tsconfig.build.json'])
  // tsc emits in spite of type errors, so tests of the parts that work can go on; `npm test` stops at them.
  if (build.code !== 0) console.error(`dist was built with errors:\n${build.stdout}`)
}

async function isBuilt(): Promise<boolean> {
  const built = statSync('dist/src/node-version.js', { throwIfNoEntry: false })?.mtimeMs ?? 0
  for await (const source of glob(['{src,machines}/**/*.ts', 'tsconfig*.json', 'package.json'])) {
    if (statSync(source).mtimeMs > built) return false
  }
  return true
}
