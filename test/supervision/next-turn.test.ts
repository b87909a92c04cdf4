import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { NextTurn } from '../../src/actors/next-turn.ts'

describe('what waits for the next turn of the event loop', () => {
  test('is done in the order in which it came, but for what was cancelled meanwhile', async () => {
    const queue = new NextTurn()
    const done: string[] = []
    queue.add(() => done.push('a'))
    const b = queue.add(() => done.push('b'))
    queue.add(() => {
      done.push('c')
      d.cancel()
    })
    const d = queue.add(() => done.push('d'))
    b.cancel()
    expect(done).toEqual([])
    await nextTurn()
    expect(done).toEqual(['a', 'c'])
  })

  test('and comes while others are done is for the turn after that', async () => {
    const queue = new NextTurn()
    let turn = 0
    const turns: number[] = []
    const again = (): void => {
      turns.push(turn)
      if (turns.length < 3) queue.add(again)
    }
    queue.add(again)
    for (; turn < 4; turn += 1) await nextTurn()
    expect(turns).toEqual([0, 1, 2])
  })

  test('leaves timers and I/O their turn, however much there is', async () => {
    const queue = new NextTurn()
    const COUNT = 2_000
    let done = 0
    for (let n = 0; n < COUNT; n += 1) {
      queue.add(() => {
        const until = performance.now() + 0.1
        while (performance.now() < until); // 200 ms in all
        done += 1
      })
    }
    const seen: number[] = []
    while (done < COUNT) {
      await nextTurn()
      seen.push(done)
    }
    expect(seen.length).toBeGreaterThan(10)
    expect(Math.max(...seen.map((now, at) => now - (seen[at - 1] ?? 0)))).toBeLessThan(COUNT / 4)
  })

  test('goes on behind one that throws', async () => {
    const queue = new NextTurn()
    const done: string[] = []
    const thrown = new Promise((resolve) => process.once('uncaughtException', resolve))
    const listeners = process.listeners('uncaughtException').slice(0, -1)
    for (const listener of listeners) process.off('uncaughtException', listener)
    queue.add(() => {
      throw new Error('no')
    })
    queue.add(() => done.push('b'))
    expect(await thrown).toMatchObject({ message: 'no' })
    for (const listener of listeners) process.on('uncaughtException', listener)
    await nextTurn()
    await nextTurn()
    expect(done).toEqual(['b'])
  })

  test('is done in the async context of nobody', async () => {
    const whose = new AsyncLocalStorage<string>()
    const queue = new NextTurn()
    const seen: unknown[] = []
    whose.run('somebody', () => queue.add(() => seen.push(whose.getStore())))
    await nextTurn()
    expect(seen).toEqual([undefined])
  })
})
