import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import manifest from '../package.json' with { type: 'json' }
import { refuseNodeVersion } from '../src/node-version.ts'
import { runNode } from './support/child.ts'

describe('refuseNodeVersion', () => {
  test.each(['22.19.0', '22.20.1', '23.0.0', '24.21.0', '26.0.0-nightly20260401', '100.0.0'])('takes %s', (version) => {
    expect(refuseNodeVersion(version)).toBeUndefined()
  })

  test.each(['20.20.2', '22.18.9', '22.9.0', '18.99.0', '8.0.0'])('refuses %s and says what is needed', (version) => {
    expect(refuseNodeVersion(version)).toBe(`rootcatch needs Node.js >=22.19 (found v${version}).`)
  })

  test('names the floor that package.json names', () => {
    const floor = /^>=(\d+\.\d+)\.0$/.exec(manifest.engines.node)?.[1]
    expect(refuseNodeVersion('0.0.0')).toContain(`>=${floor} `)
  })
})

describe('importing an entry', () => {
  test('throws that sentence on an old Node, before anything else', async () => {
    const old = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })`
    const child = await runNode(['--input-type=module', '-e', `${old}; await import('rootcatch')`])
    expect(child.stderr).toContain('Error: rootcatch needs Node.js >=22.19 (found v20.20.2).')
    expect(child.code).not.toBe(0)
  })
})

describe('the sources', () => {
  // Linking comes before evaluating: such a name is a SyntaxError before the guard can say its sentence.
  const newerThanNode20 = /zstd|getCallSites|registerHooks|stripTypeScriptTypes|^node:(?:sqlite|sea|test\/.+)$/i

  test('import no name from Node that Node 20 lacks', async () => {
    const found: string[] = []
    for await (const path of glob('src/**/*.ts')) {
      const text = readFileSync(path, 'utf8')
      for (const [, names = '', from = ''] of text.matchAll(
        /^import (?!type)(?:\w+, )?\{([^}]*)\} from '(node:[^']+)'/gm,
      )) {
        const taken = names.split(',').map((name) => name.trim())
        found.push(...taken.filter((name) => !name.startsWith('type ')).map((name) => `${path} ${from} ${name}`))
      }
    }
    expect(found.length).toBeGreaterThan(20)
    expect(
      found.filter((line) =>
        line
          .split(' ')
          .slice(1)
          .some((word) => newerThanNode20.test(word)),
      ),
    ).toEqual([])
  })
})

describe('the command line', () => {
  test('says that sentence alone on an old Node, and ends with 2', async () => {
    const old = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })`
    const child = await runNode(['--import', `data:text/javascript,${old}`, 'dist/src/cli/rootcatch.js', '--help'])
    expect(child).toEqual({
      code: 2,
      stdout: '',
      stderr: 'rootcatch needs Node.js >=22.19 (found v20.20.2).\n',
    })
  })
})
