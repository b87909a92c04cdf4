/** Tasks make their jobs by themselves, at an interval or by a cron line in a time zone. */
import { start, supervisor, task } from 'rootcatch'
import { manualClock } from 'rootcatch/testing'

// The manual clock of `rootcatch/testing`: two days take no time.
const clock = manualClock(Date.parse('2026-10-24T12:00Z'))
const now = (): string => new Date(clock.now()).toISOString().slice(5, 16)

// One job each night at three, as the clocks of Berlin have it. With a durable broker it is one job over all processes,
// and a night that was missed while all of them were down is made up for once.
const report = task('report', { cron: '0 3 * * *', timezone: 'Europe/Berlin' }, (_input, ctx) => {
  console.log(`${now()}  ${ctx.id}`)
})

// On the hour. A tick is skipped while the job of the one before is not finished, unless `overlap` is true.
const sync = task('sync', { every: '12h', shutdown: 'kill' }, async (_input, ctx) => {
  console.log(`${now()}  sync began`)
  await ctx.sleep('13h')
})

const system = await start(supervisor('app', [report, sync]), { clock })
system.on('schedule.skipped', ({ path, because }) => console.log(`${now()}  ${path} skipped: ${because}`))
await clock.advance('2d')
await system.stop()

// prints:
// 10-25T00:00  sync began
// 10-25T02:00  app/report@2026-10-25T02:00:00.000Z
// 10-25T12:00  app/sync skipped: unfinished
// 10-26T00:00  sync began
// 10-26T02:00  app/report@2026-10-26T02:00:00.000Z
// 10-26T12:00  app/sync skipped: unfinished
