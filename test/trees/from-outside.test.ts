import { actor, memory, resume, start, supervisor, task } from 'rootcatch'
import { manualClock } from 'rootcatch/testing'
import { describe, expect, test } from 'vitest'
import { fromCallback } from 'xstate'

describe('system.stop()', () => {
  test('asked for again by a listener, while it stops, is the same stop', async () => {
    const system = await start(
      supervisor('app', [
        actor(
          'a',
          fromCallback(() => {}),
        ),
      ]),
    )
    const asked: Promise<void>[] = []
    system.on('actor.stopped', () => asked.push(system.stop()))
    const stopped = system.stop()
    await stopped
    expect(asked).toEqual([stopped, stopped])
    await system.done
  })

  test('asked for again by a dispose function is the same stop', async () => {
    let again: Promise<void> | undefined
    const system = await start(
      supervisor('app', [
        actor(
          'a',
          fromCallback(() => () => (again = system.stop())),
        ),
      ]),
    )
    const stopped = system.stop()
    await stopped
    expect(again).toBe(stopped)
  })
})

describe('a broker', () => {
  test('serves one live system, and the next once that has stopped', async () => {
    const broker = memory()
    const echo = task('echo', async (n: number) => n)
    const first = await start(supervisor('first', [echo]), { broker })
    await expect(start(supervisor('second', [echo]), { broker })).rejects.toThrow(
      'system "second" got broker "memory" (string). It serves a system that is live; make a broker for each, or stop that one first.',
    )
    expect(await first.run(echo, 1)).toBe(1)
    await first.stop()
    const second = await start(supervisor('second', [echo]), { broker })
    expect(await second.run(echo, 2)).toBe(2)
    await second.stop()
  })

  test('in memory forgets the queues of tasks that are gone', async () => {
    const system = await start(supervisor('app', [supervisor('many', [])]))
    const once = task('once', async () => 1)
    for (let round = 0; round < 100; round += 1) {
      const ref = await system.spawn(once, { under: 'app/many' })
      await system.run(once)
      await system.supervisor('app/many').stopChild(ref.path.slice(ref.path.lastIndexOf('/') + 1))
    }
    expect(await system.queues()).toEqual([])
    await system.stop()
  })
})

describe('a generator that awaits nothing', () => {
  test('gives timers and I/O their turn, and ends with its timeout', async () => {
    const clock = manualClock()
    const endless = task('endless', { timeout: '50ms' }, async function* () {
      for (let count = 0; ; count += 1) yield count
    })
    const system = await start(endless, { clock, catch: () => resume })
    const run = system.run(endless)
    await clock.advance('50ms')
    expect(await run.settled()).toMatchObject({ status: 'failed', failure: { kind: 'timeout' } })
    await system.stop()
  })
})
