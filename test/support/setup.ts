import '../../src/node-version.ts'
import { readFileSync, statSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import type { TestProject } from 'vitest/node'
import { findPostgres } from '../../tools/postgres.ts'
import { findRedis } from '../../tools/redis.ts'
import { runNode, tsc } from './child.ts'

/** Vitest's global set-up: whoever starts a test without `npm test` gets a fresh dist too. */
export async function setup(project: TestProject): Promise<void> {
  await build()
  if (await needs(project, 'support/redis.ts')) project.provide('redis', findRedis())
  if (await needs(project, 'support/postgres.ts')) project.provide('postgres', findPostgres())
}

/** Looked for, and perhaps installed, only when a test that is to run asks for it. */
async function needs({ vitest }: TestProject, support: string): Promise<boolean> {
  const { filenamePattern } = vitest as { readonly filenamePattern?: string[] } // of `vitest run <name>`, not in its types
  const wanted = await vitest.globTestSpecifications(filenamePattern)
  return wanted.some(({ moduleId }) => readFileSync(moduleId, 'utf8').includes(support))
}

async function build(): Promise<void> {
  if (await isBuilt()) return
  // tsc emits in spite of type errors, so tests of the parts that work can go on; `npm test` stops at them.
  for (const step of [[tsc, '-p', 'tsconfig.build.json'], ['tools/bundle.ts']]) {
    const { code, stdout, stderr } = await runNode(step)
    if (code !== 0) console.error(`dist was built with errors:\n${stdout}${stderr}`)
  }
}

async function isBuilt(): Promise<boolean> {
  const built = statSync('dist/src/node-version.js', { throwIfNoEntry: false })?.mtimeMs ?? 0
  for await (const source of glob(['{src,machines}/**/*.ts', 'tsconfig*.json', 'package.json'])) {
    if (statSync(source).mtimeMs > built) return false
  }
  return true
}
