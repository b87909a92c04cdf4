import { fileURLToPath } from 'node:url'
import { supervisor } from 'rootcatch'
import { describe, expect, test } from 'vitest'
import { startChild } from '../support/child-lines.ts'
import { handleOf, inspected, Looker, type Frame } from '../support/inspecting.ts'
import { redisMissing, sharedRedis } from '../support/redis.ts'

const CHILD = fileURLToPath(import.meta.resolve('../support/inspected-child.ts'))

describe.skipIf(redisMissing)(`a fleet${redisMissing === undefined ? '' : `: ${redisMissing}`}`, () => {
  const address = sharedRedis()

  test('of three processes is seen in one inspector, each below a node of its own', async () => {
    const { system } = await inspected(supervisor('overview', []), { accept: true })
    const looker = await Looker.at(system)
    const { acceptUrl = '' } = handleOf(system)
    const options = JSON.stringify({ connection: { ...address() }, prefix: 'seen' })
    const processes = [1, 2, 3].map(() => startChild(CHILD, [options, acceptUrl]))
    await Promise.all(processes.map((one) => one.until((line) => line === 'ready')))
    const rows = (): readonly Frame[] => looker.frames.flatMap((frame) => (frame['nodes'] ?? []) as Frame[])
    const pathsOf = (name: string): readonly string[] =>
      [...new Set(rows().flatMap((row) => (row['name'] === name ? [String(row['path'])] : [])))].toSorted()
    const nodesWith = (name: string): readonly string[] =>
      [...new Set(pathsOf(name).map((path) => path.split('/')[0] as string))].toSorted()
    await expect.poll(() => nodesWith('work')).toEqual(['remote:1', 'remote:2', 'remote:3'])

    await processes[1]?.kill()
    const phaseOf = (name: string): unknown => rows().findLast((row) => row['name'] === name)?.['phase']
    const gone = (): number => ['remote:1', 'remote:2', 'remote:3'].filter((name) => phaseOf(name) === 'stopped').length
    await expect.poll(gone).toBe(1)
    for (const one of processes) await one.kill()
    await looker.close()
    await system.stop()
  })
})
