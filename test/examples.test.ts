import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'

const folder = join(import.meta.dirname, '../examples')
const runFile = promisify(execFile)

/** The lines below `// prints:`, without their comment signs. */
function promised(source: string): string | undefined {
  const [, lines] = source.split('\n// prints:\n')
  return lines?.replace(/^\/\/ ?/gm, '').trimEnd()
}

describe('examples', () => {
  const files = readdirSync(folder).filter((file) => file.endsWith('.ts'))

  test('each is one sentence, written at its top', () => {
    for (const file of files) {
      expect(readFileSync(join(folder, file), 'utf8').split('\n')[0], file).toMatch(/^\/\*\* .+\. \*\/$/)
    }
  })

  test.for(files)('%s prints what it promises', async (file) => {
    const output = promised(readFileSync(join(folder, file), 'utf8'))
    expect(output).toBeTruthy()
    const { stdout, stderr } = await runFile(process.execPath, [join(folder, file)], { timeout: 30_000 })
    expect(stderr).toBe('')
    expect(stdout.trimEnd()).toBe(output)
  })
})
