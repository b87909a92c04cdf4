import { InvalidOptionError, task, type TaskOptions } from 'rootcatch'
import { describe, expect, test } from 'vitest'
import { nextTick, readSchedule, type Schedule, type ScheduleOptions } from '../src/schedule.ts'

const scheduleOf = (options: ScheduleOptions): Schedule => readSchedule('task "x"', options) as Schedule

/** The ticks after a time, as texts. */
function ticks(options: ScheduleOptions, after: string, count: number): readonly string[] {
  const schedule = scheduleOf(options)
  const found: string[] = []
  for (let now = Date.parse(after); found.length < count;) {
    now = nextTick(schedule, now)
    found.push(new Date(now).toISOString().replace(':00.000Z', 'Z'))
  }
  return found
}

describe('every', () => {
  test('is counted from the epoch, so that all processes agree', () => {
    expect(ticks({ every: '1h' }, '2026-03-01T10:20Z', 2)).toEqual(['2026-03-01T11:00Z', '2026-03-01T12:00Z'])
    expect(ticks({ every: '1d' }, '2026-03-01T10:20Z', 1)).toEqual(['2026-03-02T00:00Z'])
    expect(ticks({ every: 7_000 }, '1970-01-01T00:00:13.999Z', 2)).toEqual([
      '1970-01-01T00:00:14.000Z',
      '1970-01-01T00:00:21.000Z',
    ])
  })

  test('is after now, never at it', () => {
    expect(nextTick(scheduleOf({ every: 100 }), 200)).toBe(300)
    expect(nextTick(scheduleOf({ every: 100 }), 199.5)).toBe(200)
  })
})

describe('cron', () => {
  test('has five fields, or six with seconds in front', () => {
    expect(ticks({ cron: '0 3 * * 1' }, '2026-03-01T10:20Z', 2)).toEqual(['2026-03-02T03:00Z', '2026-03-09T03:00Z'])
    expect(ticks({ cron: ' */20  * * * * * ' }, '2026-03-01T10:20:05Z', 2)).toEqual([
      '2026-03-01T10:20:20.000Z',
      '2026-03-01T10:20:40.000Z',
    ])
  })

  test('is after now, never at it', () => {
    const schedule = scheduleOf({ cron: '0 3 * * *' })
    const at = Date.parse('2026-03-01T03:00Z')
    expect(nextTick(schedule, at - 1)).toBe(at)
    expect(nextTick(schedule, at)).toBe(at + 86_400_000)
    expect(nextTick(schedule, at + 0.5)).toBe(at + 86_400_000)
  })

  test.each([
    // An hour that does not exist: the tick comes when the clocks have gone forward.
    ['30 2 * * *', '2026-03-28T12:00Z', ['2026-03-29T01:00Z', '2026-03-30T00:30Z']],
    // An hour that is there twice: the first one.
    ['30 2 * * *', '2026-10-24T12:00Z', ['2026-10-25T00:30Z', '2026-10-26T01:30Z']],
    // Every hour is every hour.
    ['0 * * * *', '2026-03-29T00:30Z', ['2026-03-29T01:00Z', '2026-03-29T02:00Z']],
    ['0 * * * *', '2026-10-24T23:30Z', ['2026-10-25T00:00Z', '2026-10-25T01:00Z', '2026-10-25T02:00Z']],
    // Three at night stays three at night.
    ['0 3 * * *', '2026-03-28T12:00Z', ['2026-03-29T01:00Z', '2026-03-30T01:00Z']],
    ['0 3 * * *', '2026-10-24T12:00Z', ['2026-10-25T02:00Z', '2026-10-26T02:00Z']],
  ])('%s in Berlin after %s', (cron, after, expected) => {
    expect(ticks({ cron, timezone: 'Europe/Berlin' }, after, expected.length)).toEqual(expected)
  })

  test('is in UTC where no zone is named, whatever the machine has', () => {
    expect(scheduleOf({ cron: '0 3 * * *' })).toEqual({
      spec: 'cron 0 3 * * * UTC',
      cron: '0 3 * * *',
      timezone: 'UTC',
      overlap: false,
    })
  })
})

describe('task() refuses', () => {
  const advice = `write five fields like '0 3 * * *', or six with seconds in front.`
  test.each<[TaskOptions<unknown>, string]>([
    [{ every: '1 h' as never }, `task "x" got every "1 h" (string). Write milliseconds above 0`],
    [{ every: 0 }, 'task "x" got every 0 (number). Write milliseconds above 0'],
    [{ every: '40000d' }, `task "x" got every "40000d" (string). Use at most '36500d'.`],
    [{ every: '1h', cron: '0 * * * *' }, 'task "x" got cron "0 * * * *" (string). It has every as well; give one'],
    [{ cron: '0 * * *' }, `task "x" got cron "0 * * *" (string). It has 4 of five or six fields; ${advice}`],
    [{ cron: '@daily' }, `task "x" got cron "@daily" (string). It has 1 of five or six fields; ${advice}`],
    [{ cron: '61 * * * *' }, `task "x" got cron "61 * * * *" (string). Invalid value for minute: 61; ${advice}`],
    [{ cron: 'a * * * *' }, `task "x" got cron "a * * * *" (string).`],
    [{ cron: '0 0 30 2 *' }, `task "x" got cron "0 0 30 2 *" (string). It has no time; ${advice}`],
    [{ cron: 5 as never }, `task "x" got cron 5 (number). It is no text; ${advice}`],
    [
      { cron: '0 * * * *', timezone: 'Mars/Base' },
      `task "x" got timezone "Mars/Base" (string). Use the name of a time zone, like 'Europe/Berlin'.`,
    ],
    [{ cron: '0 * * * *', timezone: '+02:00' }, 'task "x" got timezone "+02:00" (string). Use the name of a time zone'],
    [{ cron: '0 * * * *', timezone: '' }, 'task "x" got timezone "" (string). Use the name of a time zone'],
    [{ every: '1h', timezone: 'UTC' }, 'task "x" got timezone "UTC" (string). It goes with cron; leave it out'],
    [{ timezone: 'UTC' }, 'task "x" got timezone "UTC" (string). It goes with cron; leave it out'],
    [{ overlap: true }, 'task "x" got overlap true (boolean). It goes with every or cron; give one of them.'],
    [{ every: '1h', overlap: 1 as never }, 'task "x" got overlap 1 (number). Use true or false.'],
  ])('%o', (options, sentence) => {
    const make = (): unknown => task('x', options, () => 1)
    expect(make).toThrow(InvalidOptionError)
    expect(make).toThrow(sentence)
  })
})
