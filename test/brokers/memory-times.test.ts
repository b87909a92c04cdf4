import { expect, test, vi } from 'vitest'
import { manualClock } from 'rootcatch/testing'
import type { BrokerClock } from '../../src/brokers/broker.ts'
import { JobTimes } from '../../src/brokers/memory-times.ts'
import { systemClock } from '../../src/clock.ts'

/** A clock that counts how often it is read, and says that. */
function counting(): BrokerClock {
  let readings = 0
  return { now: () => (readings += 1), setTimeout: () => undefined, clearTimeout: () => undefined }
}

test('the clock of the machine is read once for 32 times of a turn', async () => {
  const times = new JobTimes(systemClock, counting())
  const read = (count: number): number[] => Array.from({ length: count }, () => times.now())
  expect(new Set(read(32))).toEqual(new Set([1]))
  expect(read(33).filter((time) => time === 2)).toHaveLength(32)
  expect(times.now()).toBe(3)
  await Promise.resolve()
  expect(times.now()).toBe(4)
})

test('nothing is earlier than what was read exactly before it', () => {
  const times = new JobTimes(systemClock, counting())
  expect([times.now(), times.exact(), times.now(), times.now()]).toEqual([1, 2, 2, 2])
})

test('a clock that is injected is read each time', () => {
  const times = new JobTimes(manualClock(), counting())
  expect([times.now(), times.now(), times.exact(), times.now()]).toEqual([1, 2, 3, 4])
})

test('a turn that was long ago says nothing of this one', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  try {
    const times = new JobTimes(systemClock, systemClock)
    const before = times.now()
    await Promise.resolve()
    vi.advanceTimersByTime(60_000)
    expect(times.now() - before).toBe(60_000)
  } finally {
    vi.useRealTimers()
  }
})
