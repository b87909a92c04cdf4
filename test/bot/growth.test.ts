import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { runNode } from '../support/child.ts'

const CHILD = fileURLToPath(import.meta.resolve('../support/growth-child.ts'))

test('200,000 updates, each in a lane of its own and every tenth failed, leave nothing behind', async () => {
  const { stdout, stderr } = await runNode(['--expose-gc', CHILD, '20000', '200000'])
  expect(stderr).toBe('')
  const { kept, done, failed } = JSON.parse(stdout) as Record<'kept' | 'done' | 'failed', number>
  expect({ done, failed }).toEqual({ done: 198_000, failed: 22_000 })
  expect(kept).toBeLessThan(16) // bytes each, noise
}, 90_000)
