import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { start, stopOnSignals, task } from 'rootcatch'
import { describe, expect, test } from 'vitest'
import { root } from './support/child.ts'

const CHILD = fileURLToPath(import.meta.resolve('./support/signalled-child.ts'))

/** The lines of a child; a line written `> SIGTERM` in `script` is sent once the line before it was said. */
async function play(what: string, script: readonly string[]): Promise<{ lines: string[]; end: unknown }> {
  const child = spawn(process.execPath, [CHILD, what], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const steps = [...script]
  const lines: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    if (line !== steps[0]) return
    steps.shift()
    while (steps[0]?.startsWith('> ') === true) child.kill(steps.shift()?.slice(2) as NodeJS.Signals)
  })
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  return { lines, end: code ?? signal }
}

describe.concurrent('stopOnSignals', () => {
  test.each(['SIGTERM', 'SIGINT'])('lets work end after the first signal: %s', async (signal) => {
    const { lines, end } = await play('drain', ['ready', `> ${signal}`])
    expect(lines).toEqual(['ready', `a ${signal} drain`, 'a done', 'a left 0'])
    expect(end).toBe(0)
  })

  test('cuts off what still runs when the deadline is over', async () => {
    const { lines, end } = await play('deadline', ['ready', '> SIGTERM'])
    expect(lines).toEqual(['ready', 'a SIGTERM drain', 'a cancelled', 'a left 0'])
    expect(end).toBe(0)
  })

  test('cuts off what still runs at the second signal', async () => {
    const { lines, end } = await play('force', ['ready', '> SIGTERM', 'a SIGTERM drain', '> SIGINT'])
    expect(lines).toEqual(['ready', 'a SIGTERM drain', 'a SIGINT cut off', 'a cancelled', 'a left 0'])
    expect(end).toBe(0)
  })

  test('takes the same signal twice at once for one, as npm passes it on', async () => {
    const { lines, end } = await play('echo', ['ready', '> SIGINT'])
    expect(lines).toEqual(['ready', 'a SIGINT drain', 'a done', 'a left 0'])
    expect(end).toBe(0)
  })

  test('stops several systems of one process', async () => {
    const { lines, end } = await play('two systems', ['ready', 'ready', '> SIGTERM', 'b SIGTERM drain', '> SIGINT'])
    expect(lines.slice(2, 6)).toEqual(['a SIGTERM drain', 'b SIGTERM drain', 'a SIGINT cut off', 'b SIGINT cut off'])
    expect(lines.slice(6)).toEqual(expect.arrayContaining(['a cancelled', 'b cancelled', 'a left 0', 'b left 0']))
    expect(end).toBe(0)
  })

  test('leaves no listener behind a system that stopped by itself', async () => {
    const { lines, end } = await play('failed', [])
    expect(lines).toEqual(['ready', 'a cancelled', 'a left 0'])
    expect(end).toBe(0)
  })

  test('can be taken off: the signal then ends the process', async () => {
    const { lines, end } = await play('taken off', ['ready', '> SIGTERM'])
    expect(lines).toEqual(['ready'])
    expect(end).toBe('SIGTERM')
  })

  test('an onSignal that throws stops nothing but itself', async () => {
    const { lines, end } = await play('throw', ['ready', '> SIGTERM', 'a SIGTERM drain', '> SIGINT'])
    expect(lines).toContain('a cancelled')
    expect(end).toBe(0)
  })

  test.each([
    [{ within: 'soon' }, /stopOnSignals\(\) got within "soon"/],
    [{ signals: [] }, /stopOnSignals\(\) got signals \[\]/],
    [{ signals: ['SIGKILL'] }, /List some of SIGTERM, SIGINT/],
    [{ onSignal: 1 }, /Pass a function/],
    [{ deadline: '1s' }, /unknown option "deadline"/],
  ])('refuses %j', async (options, message) => {
    await using system = await start(task('a', () => {}))
    const before = process.listenerCount('SIGTERM')
    expect(() => stopOnSignals(system, options as never)).toThrow(message)
    expect(process.listenerCount('SIGTERM')).toBe(before)
  })
})
