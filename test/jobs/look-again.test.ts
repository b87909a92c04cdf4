import { expect, test } from 'vitest'
import { manualClock } from 'rootcatch/testing'
import { LookAgain } from '../../src/actors/look-again.ts'

/** A broker that can answer for some jobs, and who asks it again when it could not; with everything that came of it. */
function asking(answersFor: (id: string) => boolean) {
  const clock = manualClock()
  const told: string[] = []
  const asked: string[] = []
  const again: string[] = []
  const looking = new LookAgain({
    broker: {
      job: (id) => {
        asked.push(id)
        if (!answersFor(id)) throw new Error('away')
        return undefined
      },
    },
    runs: { lookAgain: (id) => void again.push(id ?? 'all') },
    sleep: (ms, callback) => {
      const timer = clock.setTimeout(callback, ms)
      return () => clock.clearTimeout(timer)
    },
    callbackFailed: (path, callback) => void told.push(`${path} ${callback}`),
  })
  return { clock, looking, told, asked, again }
}

test('a broker that is away is asked for one job at a time, less and less often, and for all of them when it is back', async () => {
  let isAway = true
  const { clock, looking, told, asked, again } = asking(() => !isAway)
  for (const id of ['1', '2', '3']) looking.later('app/work', id, new Error('away'))
  await clock.advance('999ms')
  expect([asked, told]).toEqual([[], ['app/work broker.job']])
  await clock.advance('10m')
  expect(asked.length).toBeGreaterThan(110)
  expect(asked.length).toBeLessThan(130)
  expect(asked.slice(0, 4)).toEqual(['1', '2', '3', '1'])
  isAway = false
  await clock.advance('30s')
  expect([again.toSorted(), told.length]).toEqual([['1', '2', '3'], 1])
  await clock.advance('10m')
  expect([again.length, clock.pending]).toEqual([3, 0])
})

test('a job that it can never answer for keeps no other from being looked at', async () => {
  const { clock, looking, again } = asking((id) => id !== 'broken')
  looking.later('app/work', 'broken', new Error('not JSON'))
  looking.later('app/work', 'fine', new Error('away'))
  await clock.advance('3s')
  expect(again.toSorted()).toEqual(['broken', 'fine'])
})
