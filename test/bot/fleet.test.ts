import { request } from 'node:http'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { fakeTelegram, type FakeTelegram } from 'rootcatch/testing'
import { message } from '../support/bot-updates.ts'
import { startChild, type TalkingChild } from '../support/child-lines.ts'
import { postgresMissing, sharedPostgres } from '../support/postgres.ts'
import { redisMissing, sharedRedis } from '../support/redis.ts'
import { newFiles } from '../support/sqlite-store.ts'

const CHILD = fileURLToPath(import.meta.resolve('../support/fleet-bot-child.ts'))
const UPDATES = 240
const CHATS = 12
/** How many each process runs at once. */
const AT_ONCE = 4

const newFile = newFiles()
const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

interface Handled {
  readonly id: number
  readonly chat: string
  readonly at: number
}

const said = (children: readonly TalkingChild[], what: string): readonly Handled[] =>
  children
    .flatMap(({ lines }) => lines)
    .filter((line) => line.startsWith(`${what} `))
    .map((line) => line.split(' '))
    .map(([, id, chat = '', at]) => ({ id: Number(id), chat, at: Number(at) }))
    .sort((a, b) => a.at - b.at)

/** Of each chat one at a time, in the order they were sent; one that was cut off by a kill begins again. */
function expectOrder(children: readonly TalkingChild[]): void {
  const [began, done] = [said(children, 'began'), said(children, 'done')]
  for (let chat = 1; chat <= CHATS; chat += 1) {
    const mine = ({ chat: of }: Handled): boolean => of === String(chat)
    const ids = began.filter(mine).map(({ id }) => id)
    expect(ids).toEqual([...ids].sort((a, b) => a - b))
    const ends = new Map(done.filter(mine).map(({ id, at }) => [id, at]))
    const all = began.filter(mine)
    const early = all.filter(({ id, at }, index) => {
      const before = all[index - 1]
      return before !== undefined && before.id !== id && !((ends.get(before.id) ?? Infinity) <= at)
    })
    expect(early).toEqual([])
  }
}

function post(socketPath: string, update: object): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { socketPath, method: 'POST', headers: { 'content-type': 'application/json' } },
      (response) => {
        response.resume().on('end', () => resolve(response.statusCode))
      },
    )
    asked.on('error', reject).end(JSON.stringify(update))
  })
}

function describeFleet(name: string, newStore: () => readonly string[]): void {
  describe(`a bot in three processes on ${name}`, () => {
    async function startThree(telegram: FakeTelegram): Promise<readonly TalkingChild[]> {
      const args = [...newStore(), telegram.url, telegram.token, 'poll']
      const children = [1, 2, 3].map(() => startChild(CHILD, args))
      for (const child of children) open.push(() => child.kill())
      for (const child of children) await child.until((line) => line === 'up')
      return children
    }

    const send = (telegram: FakeTelegram, from: number, to: number): void => {
      for (let nth = from; nth < to; nth += 1) telegram.send.text(`${nth}`, { chat: (nth % CHATS) + 1 })
    }

    test('polls in one of them, and handles in all of them each update once, in the order of its chat', async () => {
      const telegram = await fakeTelegram()
      open.push(() => telegram.close())
      const children = await startThree(telegram)
      send(telegram, 0, UPDATES)
      await expect.poll(() => said(children, 'done').length, { timeout: 30_000 }).toBe(UPDATES)
      expect(children.flatMap(({ lines }) => lines.filter((line) => line === 'polls'))).toHaveLength(1)
      expect(new Set(said(children, 'began').map(({ id }) => id)).size).toBe(UPDATES)
      expect(said(children, 'began')).toHaveLength(UPDATES)
      expect(children.filter((child) => said([child], 'done').length > 0).length).toBeGreaterThan(1)
      expectOrder(children)
      await telegram.until(() => telegram.unconfirmed.length === 0)
    })

    test('keeps what comes by webhooks to any of them, and handles each update once, in the order of its chat', async () => {
      const telegram = await fakeTelegram()
      open.push(() => telegram.close())
      const store = newStore()
      const sockets = [newFile(), newFile(), newFile()]
      const children = sockets.map((socket) => startChild(CHILD, [...store, telegram.url, telegram.token, socket]))
      for (const child of children) open.push(() => child.kill())
      for (const child of children) await child.until((line) => line === 'up')
      for (let nth = 0; nth < UPDATES / 2; nth += 1) {
        const update = message(nth + 1, (nth % CHATS) + 1)
        expect(await post(sockets[nth % 3] as string, update)).toBe(200)
        const again = nth % 10 === 0 ? sockets[(nth + 1) % 3] : undefined
        expect(again === undefined ? 200 : await post(again, update)).toBe(200)
      }
      await expect.poll(() => said(children, 'done').length, { timeout: 30_000 }).toBe(UPDATES / 2)
      expect(said(children, 'began')).toHaveLength(UPDATES / 2)
      expectOrder(children)
    })

    test('goes on in another one when the one that polls is killed: nothing is lost, and only what was in flight comes again', async () => {
      const telegram = await fakeTelegram()
      open.push(() => telegram.close())
      const children = await startThree(telegram)
      send(telegram, 0, UPDATES / 2)
      await expect.poll(() => said(children, 'done').length, { timeout: 30_000 }).toBeGreaterThan(40)
      const poller = children.find(({ lines }) => lines.includes('polls')) as TalkingChild
      await poller.kill()
      send(telegram, UPDATES / 2, UPDATES)
      const handled = (): number => new Set(said(children, 'done').map(({ id }) => id)).size
      await expect.poll(handled, { timeout: 30_000 }).toBe(UPDATES)
      await telegram.until(() => telegram.unconfirmed.length === 0)
      // What it ran, and what it had run and not yet said so to the broker.
      expect(said(children, 'began').length).toBeLessThanOrEqual(UPDATES + AT_ONCE)
      expect(children.filter(({ lines }) => lines.includes('polls'))).toHaveLength(2)
      expectOrder(children)
    })
  })
}

describeFleet('one sqlite file', () => ['sqlite', newFile()])

describe.skipIf(redisMissing)(`on Redis${redisMissing === undefined ? '' : `: ${redisMissing}`}`, () => {
  const address = sharedRedis()
  let stores = 0
  describeFleet('Redis', () => {
    stores += 1
    return ['bullmq', JSON.stringify({ connection: { ...address() }, prefix: `bots-${stores}` })]
  })
})

describe.skipIf(postgresMissing)(`on Postgres${postgresMissing === undefined ? '' : `: ${postgresMissing}`}`, () => {
  const url = sharedPostgres()
  let stores = 0
  describeFleet('Postgres', () => {
    stores += 1
    return ['postgres', `${url()} bots_${stores}`]
  })
})
