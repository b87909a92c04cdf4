import { statSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect, createServer as createTcpServer, type AddressInfo } from 'node:net'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Api, GrammyError, HttpError, InputFile as GrammyInputFile } from 'grammy'
import { Agent } from 'undici'
import { afterEach, describe, expect, test } from 'vitest'
import { AnswerError } from '../../src/bot/errors.ts'
import { botHttp, type BotHttp, type ClientOptions } from '../../src/bot/http.ts'
import { InputFile } from '../../src/bot/input-file.ts'
import { InvalidOptionError } from '../../src/errors.ts'
import { fakeTelegram, manualClock, settle, type FakeTelegram, type ManualClock } from 'rootcatch/testing'

// What grammY makes its signals with; it is a dependency of grammY's, not of ours.
const { AbortController: Polyfill } = createRequire(createRequire(import.meta.url).resolve('grammy'))(
  'abort-controller',
) as {
  AbortController: new () => AbortController
}

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one[Symbol.asyncDispose]()
})

async function world(options: ClientOptions = {}): Promise<{
  telegram: FakeTelegram
  api: Api
  http: BotHttp
  clock: ManualClock
}> {
  const telegram = await fakeTelegram()
  const clock = manualClock()
  const http = botHttp('bot "test"', { apiRoot: telegram.url, ...options }, () => clock)
  const api = new Api(telegram.token, http.client)
  open.push(telegram, { [Symbol.asyncDispose]: () => http.close(0) })
  return { telegram, api, http, clock }
}

const failed = (call: Promise<unknown>): Promise<any> =>
  call.then(
    () => 'it did not fail',
    (error: unknown) => error,
  )

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Bytes that buffers hold. */
function buffered(): number {
  collectGarbage()
  return process.memoryUsage().arrayBuffers
}

/** Everything of an error that a log could show. */
const shown = (error: unknown): string =>
  inspect(error, { depth: 20, showHidden: true }) + JSON.stringify(error) + String((error as Error).stack)

describe('botHttp', () => {
  test("carries grammY's calls, many at once, over connections that are used again", async () => {
    const { telegram, api } = await world()
    const sent = await Promise.all(Array.from({ length: 50 }, (_, n) => api.sendMessage(5, `m${n}`)))
    expect(sent.map(({ text }) => text)).toEqual(Array.from({ length: 50 }, (_, n) => `m${n}`))
    const before = telegram.connections
    for (let n = 0; n < 10; n += 1) await api.sendMessage(5, 'again')
    expect(telegram.connections).toBe(before)
  })

  test('gives getUpdates a connection of its own, even where the other one is idle', async () => {
    const { telegram, api } = await world()
    for (const call of [() => api.getMe(), () => api.getUpdates(), () => api.getMe(), () => api.getUpdates()]) {
      await call()
      await settle() // a connection is idle a turn after its answer
    }
    const ways = telegram.calls.map(({ method, connection }) => `${method} ${connection}`)
    expect(ways).toEqual(['getMe 1', 'getUpdates 2', 'getMe 1', 'getUpdates 2'])
  })

  test("leaves a user's own fetch alone", async () => {
    const asked: string[] = []
    const fetch = (async (url: string) => {
      asked.push(url)
      return { json: async () => ({ ok: true, result: { id: 1 } }) }
    }) as never
    const client: ClientOptions = { fetch, baseFetchConfig: { agent: 'theirs' } as never }
    const http = botHttp('bot "test"', client, () => manualClock())
    expect(http.client).toBe(client)
    await new Api('1:a', http.client).getMe()
    expect(asked).toEqual(['https://api.telegram.org/bot1:a/getMe'])
  })

  test('refuses an agent and names the dispatcher instead', () => {
    const make = (): unknown => botHttp('bot "test"', { baseFetchConfig: { agent: {} } as never }, () => manualClock())
    expect(make).toThrow(InvalidOptionError)
    expect(make).toThrow('client.baseFetchConfig of bot "test" got agent {} (object). Pass a dispatcher')
  })

  test('sends through the dispatcher of baseFetchConfig', async () => {
    const dispatcher = new Agent()
    let dispatched = 0
    const counting = dispatcher.compose((dispatch) => (options, handler) => {
      dispatched += 1
      return dispatch(options, handler)
    })
    const { api } = await world({ baseFetchConfig: { dispatcher: counting } })
    open.push({ [Symbol.asyncDispose]: () => dispatcher.destroy() })
    await api.getMe()
    await api.getUpdates()
    expect(dispatched).toBe(2)
  })

  describe('errors', () => {
    test.each([200, 429, 502])(
      "R6 R8 an answer ok: false with HTTP status %i is grammY's GrammyError",
      async (status) => {
        const { telegram, api } = await world()
        telegram.next('getMe', {
          error: 403,
          description: 'Forbidden: no',
          parameters: { migrate_to_chat_id: 7 },
          status,
        })
        const error = await failed(api.getMe())
        expect(error).toBeInstanceOf(GrammyError)
        expect(error).toMatchObject({ error_code: 403, parameters: { migrate_to_chat_id: 7 } })
      },
    )

    test('R7 refused, reset and unknown hosts are HttpErrors with the reason in .error', async () => {
      const { telegram, api } = await world()
      telegram.next('getMe', { drop: 'before' })
      expect(await failed(api.getMe())).toMatchObject({ name: 'HttpError', error: { code: 'UND_ERR_SOCKET' } })
      await telegram.close()
      expect(await failed(api.getMe())).toMatchObject({ name: 'HttpError', error: { code: 'ECONNREFUSED' } })
      const nowhere = await world({ apiRoot: 'http://nowhere.invalid' })
      const error = await failed(nowhere.api.getMe())
      expect(error).toBeInstanceOf(HttpError)
      expect(error.error.code).toMatch(/^(?:ENOTFOUND|EAI_AGAIN)$/)
    })

    test('R7 an answer that is not JSON has status, statusText and its first 200 characters', async () => {
      const { telegram, api } = await world()
      telegram.next('getMe', { body: `<html>${'x'.repeat(1_000)}`, status: 502 })
      const error = await failed(api.getMe())
      expect(error).toBeInstanceOf(HttpError)
      expect(error.message).toBe("Network request for 'getMe' failed! (502: Bad Gateway)")
      expect(error.error).toBeInstanceOf(AnswerError)
      expect(error.error).toMatchObject({ status: 502, statusText: 'Bad Gateway' })
      expect(error.error.text).toMatch(/^<html>x+…$/)
      expect(error.error.text).toHaveLength(200)
    })

    test("R7 grammY's own timeout ends the call and its connection", async () => {
      const { telegram, api } = await world({ timeoutSeconds: 0.1 })
      telegram.next('getMe', { hang: true })
      const error = await failed(api.getMe())
      expect(error.error.message).toBe("Request to 'getMe' timed out after 0.1 seconds")
      await telegram.until(() => telegram.connections === 0)
    })

    test('the token is in no error: not of the network, a page that shows the address, or an address that is none', async () => {
      const { telegram, api } = await world()
      const secret = telegram.token.split(':')[1] as string
      telegram.next('getMe', { drop: 'before' }, { body: `<p>/bot${telegram.token}/getMe</p>`, status: 404 })
      const errors = [await failed(api.getMe()), await failed(api.getMe())]
      expect(errors[1].error.text).toBe('<p>/bot[redacted]/getMe</p>')
      for (const apiRoot of ['http://127.0.0.1:1', 'http://[nonsense', 'nonsense', 'ftp://x', 'http://x y']) {
        const bad = await world({ apiRoot })
        errors.push(await failed(bad.api.getMe()))
      }
      const short = await fakeTelegram({ token: '12:ab' })
      open.push(short)
      short.next('getMe', { body: 'no bot12:ab here' })
      const { client } = botHttp('bot "short"', { apiRoot: short.url }, () => manualClock())
      errors.push(await failed(new Api('12:ab', client).getMe()))
      for (const error of errors) {
        expect(error).toBeInstanceOf(HttpError)
        expect(shown(error)).not.toContain(secret)
        expect(shown(error)).not.toContain('12:ab')
      }
    })
  })

  describe('an abort', () => {
    test.each([
      ['a native signal', () => new AbortController()],
      ["the polyfill's signal", () => new Polyfill()],
    ])('by %s is an HttpError with an AbortError, and the connection is free', async (_, make) => {
      const { telegram, api, http } = await world()
      const controller = make()
      telegram.next('getMe', { hang: true })
      const calling = failed(api.getMe(controller.signal as never))
      await telegram.called('getMe')
      controller.abort()
      expect(await calling).toMatchObject({ name: 'HttpError', error: { name: 'AbortError' } })
      await telegram.until(() => telegram.connections === 0)
      expect(await api.getMe()).toEqual(telegram.me)
      // As another client than grammY's would call it, whose signals are handed over as they are.
      const direct = make()
      const url = `${telegram.url}/bot${telegram.token}/getMe`
      telegram.next('getMe', { hang: true })
      const fetching = failed(
        (http.client.fetch as never as typeof fetch)(url, { method: 'POST', signal: direct.signal }),
      )
      await telegram.called('getMe', 3)
      direct.abort(new Error('mine'))
      expect(await fetching).toMatchObject({ name: 'AbortError' })
    })

    test('before the call sends nothing', async () => {
      const { telegram, api } = await world()
      expect(await failed(api.getMe(AbortSignal.abort() as never))).toMatchObject({ error: { name: 'AbortError' } })
      expect(telegram.calls).toEqual([])
    })
  })

  describe('the 429 gate', () => {
    test('holds later calls until the time that Telegram named; the call itself throws its GrammyError', async () => {
      const { telegram, api, clock } = await world()
      telegram.next('sendMessage', { error: 429, retryAfter: 3 })
      expect(await failed(api.sendMessage(5, 'a'))).toMatchObject({ error_code: 429, parameters: { retry_after: 3 } })
      const later = [api.sendMessage(5, 'b'), api.getMe()]
      await clock.advance('2999ms')
      expect(telegram.calls).toHaveLength(1)
      await clock.advance(1)
      await Promise.all(later)
      expect(telegram.calls).toHaveLength(3)
      expect(clock.pending).toBe(0)
    })

    test('lets getUpdates pass', async () => {
      const { telegram, api } = await world()
      telegram.next('getMe', { error: 429, retryAfter: 3 })
      await failed(api.getMe())
      expect(await api.getUpdates()).toEqual([])
    })

    test('obeys the signal of a call that waits', async () => {
      const { telegram, api, clock } = await world()
      telegram.next('getMe', { error: 429, retryAfter: 30 })
      await failed(api.getMe())
      const controller = new AbortController()
      const waiting = failed(api.getMe(controller.signal as never))
      await settle()
      expect(clock.pending).toBe(1)
      controller.abort()
      expect(await waiting).toMatchObject({ error: { name: 'AbortError' } })
      expect(clock.pending).toBe(0)
      expect(telegram.calls).toHaveLength(1)
    })

    test.each([
      [60, 1],
      [61, 2],
    ])('a retry_after of %i s leaves %i calls sent at once', async (retryAfter, sent) => {
      const { telegram, api, clock } = await world()
      telegram.next('setMyName', { error: 429, retryAfter })
      await failed(api.setMyName('x'))
      const later = failed(api.setMyName('y'))
      if (sent === 2) await later
      expect(telegram.calls).toHaveLength(sent)
      await clock.advance('60s')
      await later
      expect(telegram.calls).toHaveLength(2)
    })

    test('waits on when it was told again meanwhile', async () => {
      const { telegram, api, clock } = await world()
      telegram.next('getMe', { error: 429, retryAfter: 1 }, { error: 429, retryAfter: 5, delay: 30 })
      const both = [failed(api.getMe()), failed(api.getMe())]
      await Promise.all(both)
      const later = api.getMe()
      await clock.advance('4s')
      expect(telegram.calls).toHaveLength(2)
      await clock.advance('1s')
      expect(await later).toEqual(telegram.me)
    })
  })

  describe('uploads', () => {
    test('stream: memory does not grow with the file', async () => {
      const { telegram, api } = await world()
      const chunk = Buffer.alloc(65_536, 'x')
      const chunks = 1_600
      let peak = 0
      async function* source(): AsyncGenerator<Uint8Array> {
        for (let n = 0; n < chunks; n += 1) {
          if (n % 50 === 0) peak = Math.max(peak, buffered())
          yield chunk
        }
      }
      const before = buffered()
      await api.sendDocument(5, new InputFile(source(), 'big.bin'))
      expect(telegram.callsOf('sendDocument')[0]?.files).toMatchObject([
        { name: 'big.bin', size: chunks * chunk.length },
      ])
      expect(peak - before).toBeLessThan((chunks * chunk.length) / 10)
    })

    test('a source that fails is .error, and nothing is sent as if it were whole', async () => {
      const { telegram, api } = await world()
      async function* source(): AsyncGenerator<Uint8Array> {
        yield Buffer.from('half')
        throw new RangeError('disk gone')
      }
      const error = await failed(api.sendDocument(5, new InputFile(source(), 'half.bin')))
      expect(error).toBeInstanceOf(HttpError)
      expect(error.error).toEqual(new RangeError('disk gone'))
      expect(telegram.callsOf('sendDocument')).toEqual([])
      expect(await api.getMe()).toEqual(telegram.me)
    })

    test('an abort in the middle ends source and connection', async () => {
      const { telegram, api } = await world()
      const controller = new AbortController()
      let ended = false
      let chunks = 0
      async function* source(): AsyncGenerator<Uint8Array> {
        try {
          for (;;) {
            chunks += 1
            yield Buffer.alloc(65_536)
            await new Promise((resolve) => setTimeout(resolve, 1))
          }
        } finally {
          ended = true
        }
      }
      const sending = failed(api.sendDocument(5, new InputFile(source(), 'endless'), {}, controller.signal as never))
      await expect.poll(() => chunks).toBeGreaterThan(3)
      controller.abort()
      expect(await sending).toMatchObject({ error: { name: 'AbortError' } })
      await telegram.until(() => telegram.connections === 0)
      await expect.poll(() => ended).toBe(true)
    })
  })

  describe('InputFile', () => {
    async function files(): Promise<string> {
      const server = createServer((request, response) => {
        if (request.url === '/moved') response.writeHead(302, { location: '/a/cat.png' }).end()
        else if (request.url === '/a/cat.png') response.end('meow')
        else response.writeHead(404, 'Not There').end('<html>not found')
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      open.push({ [Symbol.asyncDispose]: async () => void server.close().closeAllConnections() })
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    }

    test('streams what stands behind a URL, also one that moved, or that a function gives', async () => {
      const { telegram, api } = await world()
      const root = await files()
      for (const source of [
        new URL(`${root}/a/cat.png`),
        { url: `${root}/a/cat.png` },
        new URL(`${root}/moved`),
        () => new URL(`${root}/a/cat.png`),
      ]) {
        await api.sendPhoto(5, new InputFile(source))
      }
      const sent = telegram.callsOf('sendPhoto').flatMap((call) => call.files)
      expect(sent.map(({ name, head }) => [name, String(head)])).toEqual([
        ['cat.png', 'meow'],
        ['cat.png', 'meow'],
        ['moved', 'meow'],
        ['photo.jpg', 'meow'],
      ])
    })

    test('fails on a status other than 2xx, with no URL in the error', async () => {
      const { telegram, api } = await world()
      const root = await files()
      const error = await failed(api.sendPhoto(5, new InputFile(new URL(`${root}/file/bot1:secret/x`))))
      expect(error).toBeInstanceOf(HttpError)
      expect(error.error).toMatchObject({ name: 'AnswerError', status: 404, statusText: 'Not There' })
      const others = ['http://127.0.0.1:1/bot1:secret/x', 'bot1:secret', 'nope://bot1:secret/x']
      for (const url of others) {
        const other = await failed(api.sendPhoto(5, new InputFile({ url })))
        expect(other).toBeInstanceOf(HttpError)
        expect(shown(other)).not.toContain('secret')
      }
      expect(shown(error)).not.toContain('secret')
      expect(telegram.callsOf('sendPhoto')).toEqual([])
    })

    test('sends a file by its file: URL, which grammY would fetch', async () => {
      const { telegram, api } = await world()
      await api.sendDocument(5, new InputFile(new URL(import.meta.url)))
      const [{ files }] = telegram.callsOf('sendDocument') as [(typeof telegram.calls)[number]]
      expect(files).toMatchObject([{ name: 'http.test.ts', size: statSync(new URL(import.meta.url)).size }])
    })

    test("is grammY's own for everything else", async () => {
      const { telegram, api } = await world()
      const file = new InputFile(fileURLToPath(import.meta.url))
      expect(file).toBeInstanceOf(GrammyInputFile)
      expect(file.filename).toBe('http.test.ts')
      await api.sendDocument(5, file)
      await api.sendDocument(5, new InputFile(Buffer.from('bytes'), 'b.txt'))
      const sent = telegram.callsOf('sendDocument').flatMap((call) => call.files)
      expect(sent).toMatchObject([{ name: 'http.test.ts' }, { name: 'b.txt', size: 5 }])
    })
  })

  describe('close', () => {
    test('leaves no connection, and a later call opens one again', async () => {
      const { telegram, api, http, clock } = await world()
      await Promise.all([api.getMe(), api.getUpdates()])
      expect(telegram.connections).toBe(2)
      await http.close()
      await telegram.until(() => telegram.connections === 0)
      expect(await api.getMe()).toEqual(telegram.me)
      expect(clock.pending).toBe(0)
    })

    test('lets a call under way end, and breaks it when its time is over', async () => {
      const { telegram, api, http, clock } = await world()
      telegram.next('getMe', { result: 'slow', delay: 50 }, { hang: true })
      const slow = api.getMe()
      await telegram.called('getMe')
      await http.close()
      expect(await slow).toBe('slow')
      const hanging = failed(api.getMe())
      await telegram.called('getMe', 2)
      const closing = http.close(500)
      await clock.advance(500)
      await closing
      expect(await hanging).toBeInstanceOf(HttpError)
    })
  })

  test('waits longer for an answer than undici would by itself', async () => {
    // Its header timeout is 300 s of real time, which no test can wait for: what is asked is that it is off.
    const sockets = createTcpServer((socket) => void socket.on('error', () => {}))
    await new Promise<void>((resolve) => sockets.listen(0, '127.0.0.1', resolve))
    const { port } = sockets.address() as AddressInfo
    connect(port, '127.0.0.1').destroy()
    const seen: unknown[] = []
    const agent = new Agent()
    const dispatcher = agent.compose((dispatch) => (options, handler) => {
      seen.push([options.headersTimeout, options.bodyTimeout])
      return dispatch(options, handler)
    })
    const { api } = await world({ baseFetchConfig: { dispatcher } })
    await api.getMe()
    expect(seen).toEqual([[0, 0]])
    await agent.destroy()
    sockets.close()
  })
})
