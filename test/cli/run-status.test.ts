import { memory, start, task } from 'rootcatch'
import { expect, test } from 'vitest'
import { StatusReader, statusText } from '../../src/cli/run-status.ts'

const queue = { queue: 'a', waiting: 2, delayed: 1, leased: 0, dead: 0, oldest: undefined }

test('the status of a system: what waits is summed over its queues, the rate is over the last ten seconds', async () => {
  const work = task('work', () => {})
  await using system = await start(work, { broker: memory() })
  const reader = new StatusReader()
  expect(reader.read(system.stats(), [queue, queue], 0)).toEqual({
    running: 0,
    waiting: 4,
    delayed: 2,
    done: 0,
    failed: 0,
    rate: 0,
  })
  for (let n = 0; n < 10; n += 1) await system.run(work)
  expect(reader.read(system.stats(), [], 5_000)).toMatchObject({ done: 10, rate: 2 })
  expect(reader.read(system.stats(), [], 10_000)).toMatchObject({ done: 10, rate: 1 })
  expect(reader.read(system.stats(), [], 20_000)).toMatchObject({ done: 10, rate: 0 })
})

test.each([
  [{}, 'running 0  waiting 0  done 0  failed 0  0.0/s'],
  [{ running: 3, delayed: 2, rate: 9.96 }, 'running 3  waiting 0  delayed 2  done 0  failed 0  10.0/s'],
  [
    { waiting: 1234567, done: 4512, failed: 1, rate: 1512.4 },
    'running 0  waiting 1 234 567  done 4 512  (failed 1)  1 512/s',
  ],
])('%j as a line', (counts, line) => {
  const zero = { running: 0, waiting: 0, delayed: 0, done: 0, failed: 0, rate: 0 }
  const text = statusText({ ...zero, ...counts }, (failed) => `(${failed})`)
  expect(text.replaceAll('\u00A0', ' ')).toBe(line)
})
