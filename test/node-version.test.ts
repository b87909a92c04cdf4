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
