import type { Context } from 'grammy'
import { resume, supervisor, task } from 'rootcatch'
import { Bot } from 'rootcatch/bot'
import { request, spider } from 'rootcatch/crawl'
import { fakeTelegram, website } from 'rootcatch/testing'
import { describe, expect, test } from 'vitest'
import { inspected, Looker, type Frame } from '../support/inspecting.ts'

/** Opens a node that a job is under way below since before anybody looked; gives the row of that job, and its chart. */
async function openLate(looker: Looker, path: string): Promise<{ readonly row: Frame; readonly chart: Frame }> {
  const isJob = ({ name }: Frame): boolean => /^(?:job|update|request):/.test(name as string)
  looker.send({ type: 'open', rows: [], parents: [looker.row(path)?.['id']] })
  const tick = await looker.until((frame) => frame.type === 'tick' && frame['nodes']?.some(isJob))
  const row = (tick['nodes'] as readonly Frame[]).find(isJob) as Frame
  const chart = looker.frames.find(({ type, hash }) => type === 'chart' && hash === row['chart'])
  return { row, chart: chart ?? looker.frames[0]?.['charts'][row['chart']] }
}

const running = { status: 'active', state: ['running'], attempt: 1 }

describe('a viewer who comes late finds, with its chart, what runs:', () => {
  test('the job of a task', async () => {
    const gate = Promise.withResolvers<void>()
    const slow = task('slow', () => gate.promise)
    const { system } = await inspected(supervisor('app', [slow]), {}, { catch: () => resume })
    const run = system.run(slow, undefined)
    await expect.poll(() => system.stats().attempts).toBe(1)
    const looker = await Looker.at(system)
    const { row, chart } = await openLate(looker, 'app/slow')
    expect(row).toMatchObject({ ...running, path: run.path, kind: 'job', parent: looker.row('app/slow')?.['id'] })
    expect(JSON.stringify(chart)).toContain('pluginError')
    gate.resolve()
    await run
    await looker.until(({ gone }) => gone?.includes(row['id']))
    await looker.close()
    await system.stop()
  })

  test('the update of a bot, and its poller', async () => {
    const telegram = await fakeTelegram()
    const bot = new Bot<Context>(telegram.token, { name: 'shop', client: { apiRoot: telegram.url } })
    const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    bot.on('message:text', async () => {
      begun.resolve()
      await gate.promise
    })
    const { system } = await inspected(supervisor('app', [bot]), {}, { catch: () => resume })
    telegram.send.text('hello')
    await begun.promise
    const looker = await Looker.at(system)
    const { row, chart } = await openLate(looker, 'app/shop')
    expect(row).toMatchObject({ ...running, kind: 'update', parent: looker.row('app/shop')?.['id'] })
    expect(JSON.stringify(chart)).toContain('pluginError')
    const poller = looker.row('app/shop/poller')
    expect(JSON.stringify(looker.frames[0]?.['charts'][poller?.['chart']])).toContain('backingOff')
    gate.resolve()
    await looker.until(({ gone }) => gone?.includes(row['id']))
    await looker.close()
    await system.stop()
    await telegram.close()
  })

  test('the page of a spider', async () => {
    const site = await website({ books: 1 })
    const books = spider('books', { start: [request('list', `${site.url}/shop/1`)], allowPrivate: ['127.0.0.1'] })
    const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    books.on('list', async () => {
      begun.resolve()
      await gate.promise
    })
    const { system } = await inspected(supervisor('app', [books]), {}, { catch: () => resume })
    const crawl = system.run(books)
    await begun.promise
    const looker = await Looker.at(system)
    const { row, chart } = await openLate(looker, 'app/books')
    expect(row).toMatchObject({ ...running, kind: 'request', parent: looker.row('app/books')?.['id'] })
    expect(JSON.stringify(chart)).toContain('pluginError')
    gate.resolve()
    await crawl
    await looker.until(({ gone }) => gone?.includes(row['id']))
    await looker.close()
    await system.stop()
    await site.close()
  })
})
