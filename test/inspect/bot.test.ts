import type { Context } from 'grammy'
import { resume, supervisor } from 'rootcatch'
import { Bot } from 'rootcatch/bot'
import { fakeTelegram } from 'rootcatch/testing'
import { expect, test } from 'vitest'
import { inspected, Looker, type Frame } from '../support/inspecting.ts'

test('a bot is shown with its poller, its boundaries and, once it is opened, each of its updates', async () => {
  const telegram = await fakeTelegram()
  const bot = new Bot<Context>(telegram.token, { name: 'shop', client: { apiRoot: telegram.url } })
  const gate = Promise.withResolvers<void>()
  bot.errorBoundary('checkout', () => {}).on('message:text', () => gate.promise)
  const { system } = await inspected(supervisor('app', [bot]), {}, { catch: () => resume })
  const looker = await Looker.at(system)
  const nodes = looker.frames[0]?.['nodes'] as readonly Frame[]
  const kinds = nodes.map(({ path, kind }) => [path, kind])
  expect(kinds).toContainEqual(['app/shop', 'bot'])
  expect(kinds).toContainEqual(['app/shop/checkout', 'boundary'])
  looker.send({ type: 'open', rows: [], parents: [looker.row('app/shop')?.['id']] })
  await looker.ask('search', { text: 'shop' })
  telegram.send.text('hello')
  const isUpdate = ({ kind }: Frame): boolean => kind === 'update'
  const tick = await looker.until((frame) => frame.type === 'tick' && frame['nodes']?.some(isUpdate))
  const row = (tick['nodes'] as readonly Frame[]).find(isUpdate)
  expect(row).toMatchObject({ parent: looker.row('app/shop')?.['id'], state: ['running'] })
  gate.resolve()
  await looker.until(({ gone }) => gone?.includes(row?.['id']))
  expect(JSON.stringify(looker.frames)).not.toContain(telegram.token)
  await looker.close()
  await system.stop()
  await telegram.close()
})
