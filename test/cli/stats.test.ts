import { beforeAll, describe, expect, test } from 'vitest'
import { hasTerminal, inTerminal, rootcatch, startCommand } from '../support/command.ts'
import { fillStore } from '../support/dead-store.ts'
import { newFiles } from '../support/sqlite-store.ts'

const newFile = newFiles()

describe.concurrent('rootcatch stats', () => {
  const file = newFile()

  beforeAll(async () => {
    await fillStore(file)
  })

  test('has a line per task and one for all', async () => {
    const { code, stdout, stderr } = await rootcatch(['stats', '--broker', file])
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/))
    expect(rows[0]).toEqual(['TASK', 'WAITING', 'DELAYED', 'LEASED', 'DEAD', 'OLDEST'])
    expect(rows[1]?.slice(0, 5)).toEqual(['app/media/resize', '0', '1', '0', '1'])
    expect(rows[2]?.slice(0, 5)).toEqual(['app/media/upload', '1', '0', '0', '2'])
    expect(rows[3]?.slice(0, 5)).toEqual(['all', '1', '1', '0', '3'])
    expect(rows[1]?.[5]).toBe('-')
    expect(rows[2]?.[5]).toMatch(/^\d/)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  test('prints JSON', async () => {
    const { stdout } = await rootcatch(['stats', '--json', '--broker', file])
    expect(JSON.parse(stdout)).toContainEqual(
      expect.objectContaining({ queue: 'app/media/upload', waiting: 1, delayed: 0, leased: 0, dead: 2 }),
    )
  })

  test('watches until it is told to stop, a line of JSON each time', async () => {
    const watch = startCommand(['stats', '--watch', '--json', '--broker', file])
    await watch.until(/\n.*\n/)
    watch.child.kill('SIGTERM')
    expect(await watch.ended).toBe(0)
    for (const line of watch.said().trimEnd().split('\n')) expect(JSON.parse(line)).toHaveProperty('queues')
  })

  test('watching ends when nobody reads any more', async () => {
    const watch = startCommand(['stats', '--watch', '--broker', file])
    await watch.until('TASK')
    watch.child.stdout?.destroy()
    expect(await watch.ended).toBe(0)
  })

  test.skipIf(!hasTerminal)('in a terminal it draws over what it drew', async () => {
    const watch = inTerminal(['stats', '--watch', '--broker', file])
    await watch.until('\u001b[4A')
    watch.child.stdin?.write('\u0003')
    expect(await watch.ended).toBe(0)
  })
})
