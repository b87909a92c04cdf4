import { EventEmitter } from 'node:events'
import { actor, resume, start, supervisor, task } from 'rootcatch'
import { inspector } from 'rootcatch/inspect'
import { settle } from 'rootcatch/testing'
import { describe, expect, test, vi } from 'vitest'
import { setup } from 'xstate'
import { Hub } from '../../src/inspect/hub.ts'
import { readOptions } from '../../src/inspect/options.ts'
import { Showing } from '../../src/inspect/showing.ts'
import { Viewer } from '../../src/inspect/viewer.ts'
import { ask, enter, handleOf, inspected, Looker, type Frame } from '../support/inspecting.ts'
import { lookingOn } from '../support/looking-on.ts'
import { tell } from '../support/lives.ts'

const machine = setup({}).createMachine({
  id: 'lamp',
  initial: 'off',
  context: { password: 'hunter2', tokenCount: 3, note: 'Bearer abcdefgh12345678' },
  states: { off: { on: { press: 'on' } }, on: { on: { press: 'off' } } },
})
const lamp = (): ReturnType<typeof actor> => actor('lamp', machine)
const job = task(
  'job',
  { retry: { attempts: 1 }, concurrency: 50 },
  (input: { readonly fails?: boolean; readonly n?: number }) => {
    if (input.fails === true) throw new Error('no: password=hunter2')
    return input.n ?? 0
  },
)

/** A viewer whose socket, and whose time, the test has in its hand. */
async function alone(queues?: () => Promise<readonly object[]>) {
  const { inspector: looking, inspected: handed } = lookingOn()
  const system = await start(supervisor('app', [lamp(), job]), { inspect: looking })
  const policy = readOptions({})
  if (queues !== undefined) Object.assign(system, { queues })
  const hub = new Hub(handed(), policy, new Showing(policy, {}), (error) => {
    throw error
  })
  const socket = Object.assign(new EventEmitter(), {
    OPEN: 1,
    readyState: 1,
    bufferedAmount: 0,
    terminated: 0,
    sent: [] as Frame[],
  })
  const own = Object.assign(socket, {
    send: (text: string) => void socket.sent.push(JSON.parse(text) as Frame),
    terminate: () => void (socket.terminated += 1),
    close: () => {},
  })
  const viewer = new Viewer(hub, own as never, undefined, () => {})
  const hear = (frame: object): boolean => socket.emit('message', JSON.stringify(frame), false)
  return { system, hub, socket, viewer, hear }
}

describe('a viewer', () => {
  test('who comes after 5 000 jobs gets all nodes and charts, and the failures so far', async () => {
    const { system } = await inspected(
      supervisor('app', [lamp(), supervisor('jobs', [job])]),
      {},
      { catch: () => resume },
    )
    await Promise.all(Array.from({ length: 5_000 }, (_, n) => system.run(job, { n }).settled()))
    await system.run(job, { fails: true }).settled()
    expect(handleOf(system).observing).toBe(false)
    const looker = await Looker.at(system)
    const [hello] = looker.frames
    expect(hello?.['nodes'].map(({ path, kind }: { path: string; kind: string }) => [path, kind])).toEqual([
      ['app', 'supervisor'],
      ['app/lamp', 'actor'],
      ['app/jobs', 'supervisor'],
      ['app/jobs/job', 'task'],
    ])
    const row = looker.row('app/lamp')
    expect(hello?.['charts'][row?.['chart']].root.states.map(({ key }: { key: string }) => key)).toEqual(['off', 'on'])
    expect(hello?.['failures']).toHaveLength(1)
    expect(looker.row('app/jobs/job')?.['failures']).toBe(1)
    await looker.close()
    await system.stop()
  })

  test('is told what moves: state, events, the edge that was taken, and whether an event was', async () => {
    const { system } = await inspected(supervisor('app', [lamp()]))
    const looker = await Looker.at(system)
    looker.send({ type: 'watch', id: looker.row('app/lamp')?.['id'] })
    await looker.until(({ type }) => type === 'detail')
    tell(system, 'app/lamp', { type: 'press' } as never)
    tell(system, 'app/lamp', { type: 'nonsense' } as never)
    await looker.until(({ fired }) => fired?.[0] === 'off|press|0')
    const isMessage = ({ kind }: { kind: string }): boolean => kind === 'message'
    const tick = await looker.until(({ events }) => events?.filter(isMessage).length >= 2)
    const happened = tick['events'].filter(isMessage)
    expect(happened.map(({ type, handled }: { type: string; handled?: boolean }) => [type, handled])).toEqual([
      ['press', undefined],
      ['nonsense', false],
    ])
    expect(looker.row('app/lamp')?.['state']).toEqual(['on'])
    await looker.close()
    await system.stop()
  })

  test('who leaves last takes the observer along, and the one who comes again finds everything', async () => {
    const { system } = await inspected(supervisor('app', [lamp()]))
    const viewed: number[] = []
    system.on('inspector.viewed', ({ viewers }) => viewed.push(viewers))
    const [one, two] = [await Looker.at(system), await Looker.at(system)]
    expect([handleOf(system).viewers, handleOf(system).observing]).toEqual([2, true])
    await one.close()
    await expect.poll(() => handleOf(system).viewers).toBe(1)
    expect(handleOf(system).observing).toBe(true)
    await two.close()
    await expect.poll(() => handleOf(system).observing).toBe(false)
    const again = await Looker.at(system)
    expect(again.row('app/lamp')).toBeDefined()
    await again.close()
    await expect.poll(() => viewed).toEqual([1, 2, 1, 0, 1, 0])
    await system.stop()
  })

  test('who reads nothing does not hold up another one', async () => {
    const big = setup({}).createMachine({ id: 'big', on: { tick: {} } })
    const { system } = await inspected(supervisor('app', [actor('big', big)]))
    const [slow, live] = [await Looker.at(system), await Looker.at(system)]
    slow.socket.pause()
    const data = Array.from({ length: 18 }, (_, n) => [n, 'x'.repeat(250)])
    for (let round = 0; round < 100; round += 1) {
      for (let n = 0; n < 100; n += 1) tell(system, 'app/big', { type: 'tick', data, round } as never)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    tell(system, 'app/big', { type: 'last' } as never)
    const tick = await live.until(({ events }) => events?.some(({ type }: { type: string }) => type === 'last'))
    expect(tick['events'].length).toBeLessThanOrEqual(100)
    slow.socket.terminate()
    await live.close()
    await system.stop()
  })

  test('whose frames pile up is left out, and told how much it missed; one who is stuck is cut off', async () => {
    const { system, hub, socket, viewer } = await alone()
    const press = (times: number): void => {
      for (let n = 0; n < times; n += 1) tell(system, 'app/lamp', { type: 'press' } as never)
      hub.flush()
    }
    socket.bufferedAmount = 2_000_000
    press(1_500)
    press(1_500)
    expect(socket.sent.map(({ type }) => type)).toEqual(['hello'])
    socket.bufferedAmount = 0
    const known = socket.sent[0]?.['nodes'] as readonly Frame[]
    const id = known.find(({ path }) => path === 'app/lamp')?.['id'] as string
    socket.emit('message', JSON.stringify({ type: 'open', rows: [id], parents: [] }), false)
    press(50)
    const tick = socket.sent.at(-1)
    expect(tick?.['events']).toHaveLength(100)
    expect(tick?.['dropped'].events).toBe(2_950)
    const rows = tick?.['nodes'] as readonly Frame[]
    expect(rows.find(({ path }) => path === 'app/lamp')?.['events']).toBe(3_050)
    socket.bufferedAmount = 9_000_000
    press(1)
    expect(socket.terminated).toBe(1)
    viewer.bye('over')
    expect(hub.isObserving).toBe(false)
    await system.stop()
  })

  test('who is hidden is told once a second, is gone after 60 s, and gets the whole picture when it is back', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
    try {
      const { system, hub, socket, viewer, hear } = await alone()
      const ticks = (): number => socket.sent.filter(({ type }) => type === 'tick').length
      hear({ type: 'view', hidden: true })
      const before = ticks()
      for (let n = 0; n < 20; n += 1) {
        tell(system, 'app/lamp', { type: 'press' } as never)
        vi.advanceTimersByTime(100)
      }
      expect(ticks() - before).toBe(2)
      vi.advanceTimersByTime(57_900)
      expect([viewer.isHere, hub.isObserving]).toEqual([true, true])
      vi.advanceTimersByTime(200)
      expect([viewer.isHere, hub.isObserving]).toEqual([false, false])
      const sent = socket.sent.length
      tell(system, 'app/lamp', { type: 'press' } as never)
      vi.advanceTimersByTime(10_000)
      expect(socket.sent).toHaveLength(sent)
      hear({ type: 'view', hidden: false })
      expect([viewer.isHere, hub.isObserving]).toEqual([true, true])
      expect(socket.sent.at(-1)).toMatchObject({ type: 'hello', nodes: [{ path: 'app' }, { state: ['on'] }, {}] })
      viewer.bye('over')
      expect(vi.getTimerCount()).toBe(0)
      vi.useRealTimers()
      await system.stop()
    } finally {
      vi.useRealTimers()
    }
  })

  test('is told how much waits, and no longer once the broker does not know of that queue any more', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
    try {
      const queues: object[] = [{ queue: 'app/job', waiting: 2, delayed: 1 }]
      const { system, hub, socket, viewer, hear } = await alone(async () => queues)
      const second = async (): Promise<unknown> => {
        await vi.advanceTimersByTimeAsync(1_200)
        hub.flush()
        const rows = socket.sent.flatMap((frame) => (frame['nodes'] as readonly Frame[] | undefined) ?? [])
        return rows.findLast(({ path }) => path === 'app/job')?.['waiting']
      }
      const before = socket.sent.length
      const nodes = socket.sent[0]?.['nodes'] as readonly Frame[] | undefined
      hear({ type: 'open', rows: [nodes?.find(({ path }) => path === 'app/job')?.['id']], parents: [] })
      expect(await second()).toBe(3)
      queues.length = 0
      expect(await second()).toBeUndefined()
      expect(socket.sent.length).toBeGreaterThan(before)
      viewer.bye('over')
      vi.useRealTimers()
      await system.stop()
    } finally {
      vi.useRealTimers()
    }
  })

  test('who sends garbage, or too much, harms nobody', async () => {
    const { system } = await inspected(supervisor('app', [lamp()]))
    const looker = await Looker.at(system)
    for (const text of [
      '',
      '{',
      'null',
      '[]',
      '{"type":"watch","id":{}}',
      '{"type":"open","rows":5}',
      '{"type":"nobody"}',
    ])
      looker.socket.send(text)
    looker.socket.send(Buffer.from([1, 2, 3]))
    const answer = await looker.ask('nonsense')
    expect(answer['error']).toContain('nonsense')
    looker.socket.send('x'.repeat(70_000))
    await new Promise((resolve) => looker.socket.once('close', resolve))
    expect(system.tree().children?.[0]?.status).toBe('running')
    await system.stop()
  })

  test('is told that the system stopped, and no socket, timer or listener remains', async () => {
    const { system, url } = await inspected(supervisor('app', [lamp()]))
    const looker = await Looker.at(system)
    await system.stop()
    expect((await looker.until(({ type }) => type === 'bye'))['reason']).toBe('system stopped')
    await expect(ask(url)).rejects.toThrow('ECONNREFUSED')
    expect(handleOf(system).observing).toBe(false)
  })
})

describe('what leaves the process', () => {
  test('holds no secret: not in contexts, inputs, events, errors, failures, dead letters or the recording', async () => {
    process.env['TEST_SECRET_TOKEN'] = 'correct-horse-battery'
    const leaky = task('leaky', { retry: { attempts: 1 } }, (_: { apiKey: string; text: string }) => {
      throw new Error('no: correct-horse-battery', { cause: new Error('postgres://me:hunter2@db/x') })
    })
    const { system, url, cookie } = await inspected(supervisor('app', [lamp(), leaky]), {}, { catch: () => resume })
    delete process.env['TEST_SECRET_TOKEN']
    const looker = await Looker.at(system)
    looker.send({ type: 'watch', id: looker.row('app/lamp')?.['id'] })
    tell(system, 'app/lamp', { type: 'press', password: 'hunter2', authorization: 'correct-horse-battery' } as never)
    const run = system.run(leaky, { apiKey: 'hunter2', text: 'correct-horse-battery' })
    await run.settled()
    const detail = await looker.until(({ type }) => type === 'detail')
    expect(detail['context']).toEqual({ password: '[redacted]', tokenCount: 3, note: 'Bearer [redacted]' })
    await looker.until(({ failures, type }) => type === 'tick' && failures?.length > 0)
    await looker.ask('job', { id: run.id })
    await looker.ask('dead')
    await looker.ask('letter', { id: run.id })
    const { text } = await ask(new URL('/export', url), { headers: { cookie: await cookie() } })
    const all = JSON.stringify(looker.frames) + text
    expect(all).not.toContain('hunter2')
    expect(all).not.toContain('correct-horse-battery')
    expect(all).toContain('[redacted]')
    await looker.close()
    await system.stop()
  })

  test.each([
    ['none', undefined],
    ['full', { password: 'hunter2', tokenCount: 3, note: 'Bearer abcdefgh12345678' }],
  ] as const)('with payloads: %s has contexts accordingly', async (payloads, context) => {
    const { system } = await inspected(supervisor('app', [lamp()]), { payloads })
    const looker = await Looker.at(system)
    looker.send({ type: 'watch', id: looker.row('app/lamp')?.['id'] })
    tell(system, 'app/lamp', { type: 'press', data: 7 } as never)
    expect((await looker.until(({ type }) => type === 'detail'))['context']).toEqual(context)
    const tick = await looker.until(({ events }) => events !== undefined && events.length > 0)
    expect('data' in tick['events'].at(-1)).toBe(payloads === 'full')
    await looker.close()
    await system.stop()
  })

  test('passes redact, which has the last word, and of which a throw shows nothing', async () => {
    const redact = (path: string, value: unknown, node: string): unknown => {
      if (path === 'context.tokenCount') throw new Error('no')
      return path === 'context.note' ? `${node} says nothing` : value
    }
    const { system } = await inspected(supervisor('app', [lamp()]), { redact })
    const looker = await Looker.at(system)
    looker.send({ type: 'watch', id: looker.row('app/lamp')?.['id'] })
    const { context } = await looker.until(({ type }) => type === 'detail')
    expect(context).toEqual({ password: '[redacted]', tokenCount: '[redacted]', note: 'app/lamp says nothing' })
    await looker.close()
    await system.stop()
  })

  test('is what `only` lets through, also for failures and search', async () => {
    const root = supervisor('app', [lamp(), supervisor('secret', [job])])
    const only = (path: string): boolean => {
      if (path.includes('secret')) throw new Error('no')
      return true
    }
    const { system } = await inspected(root, { only }, { catch: () => resume })
    const looker = await Looker.at(system)
    await system.run(job, { fails: true }).settled()
    tell(system, 'app/lamp', { type: 'press' } as never)
    await looker.until(({ events }) => events !== undefined)
    expect((await looker.ask('search', { text: 'job' }))['value'].total).toBe(0)
    expect((await looker.ask('dead'))['value'].rows).toEqual([])
    expect(JSON.stringify(looker.frames)).not.toContain('secret')
    await looker.close()
    await system.stop()
  })

  test('shows any value sensibly, and reads none that throws', async () => {
    const circular: Record<string, unknown> = { n: 1 }
    circular['self'] = circular
    const context = {
      circular,
      big: 12n,
      nan: Number.NaN,
      date: new Date(0),
      map: new Map([['a', 1]]),
      set: new Set([1]),
      buffer: Buffer.from('abc'),
      regexp: /a/g,
      error: new TypeError('wrong'),
      run: function go() {},
      get trap(): never {
        throw new Error('trap')
      },
      deep: { a: { b: { c: { d: { e: 1 } } } } },
      long: 'y'.repeat(600),
      many: Array.from({ length: 60 }, (_, n) => n),
    }
    const odd = setup({}).createMachine({ id: 'odd', context })
    const { system } = await inspected(supervisor('app', [actor('odd', odd)]))
    const looker = await Looker.at(system)
    looker.send({ type: 'watch', id: looker.row('app/odd')?.['id'] })
    const shown = (await looker.until(({ type }) => type === 'detail'))['context']
    expect(shown).toMatchObject({
      circular: { n: 1, self: '[Circular]' },
      big: '12n',
      nan: 'NaN',
      date: '1970-01-01T00:00:00.000Z',
      map: [['a', 1]],
      set: [1],
      buffer: '<Buffer 3 B>',
      regexp: '/a/g',
      error: { name: 'TypeError', message: 'wrong' },
      run: { type: 'go' },
      trap: '[unreadable]',
      deep: { a: { b: { c: { d: '{… 1 keys}' } } } },
    })
    expect(shown.long).toMatch(/^y{499}… \(600 characters\)$/)
    expect(shown.many.at(-1)).toBe('… 10 more')
    await looker.close()
    await system.stop()
  })
})

describe('control', () => {
  const order = (
    body: object,
    headers: Record<string, string>,
  ): { method: string; headers: Record<string, string>; body: string } => ({
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })

  test('acts with cookie, own Origin and the value of hello, and in no other way', async () => {
    const { system, url, cookie } = await inspected(supervisor('app', [lamp()]), { control: true })
    const looker = await Looker.at(system)
    const own = {
      cookie: await cookie(),
      origin: url.origin,
      'x-rootcatch': looker.frames[0]?.['system'].control as string,
    }
    const place = new URL('/do', url)
    const body = { action: 'stopChild', path: 'app/lamp' }
    const statuses: number[] = []
    for (const missing of ['cookie', 'origin', 'x-rootcatch'] as const) {
      const rest = Object.fromEntries(Object.entries(own).filter(([key]) => key !== missing))
      statuses.push((await ask(place, order(body, rest))).status)
    }
    expect(statuses).toEqual([401, 403, 403])
    expect((await ask(place, order(body, { ...own, 'x-rootcatch': 'no' }))).status).toBe(403)
    expect((await ask(place, { headers: own })).status).toBe(405)
    expect((await ask(place, order({ action: 'stop' }, own))).status).toBe(400)
    expect((await ask(place, order({ action: '__proto__', path: 'app' }, own))).status).toBe(400)
    expect(system.tree().children?.[0]?.status).toBe('running')
    expect((await ask(place, order(body, own))).status).toBe(200)
    expect(system.tree().children?.[0]?.status).toBe('stopped')
    expect((await ask(place, order({ action: 'startChild', path: 'app/lamp' }, own))).status).toBe(200)
    expect((await ask(place, order({ action: 'restartChild', path: 'app/lamp' }, own))).status).toBe(200)
    expect(system.tree().children?.[0]).toMatchObject({ status: 'running', generation: 3 })
    const wrong = await ask(place, order({ action: 'stopChild', path: 'app/lump' }, own))
    expect([wrong.status, JSON.parse(wrong.text).error]).toEqual([409, 'app has no child "lump". Did you mean "lamp"?'])
    await looker.close()
    await system.stop()
  })

  test('is no route without the option', async () => {
    const { system, url, cookie } = await inspected(supervisor('app', [lamp()]))
    const headers = { cookie: await cookie(), origin: url.origin, 'x-rootcatch': 'false' }
    expect((await ask(new URL('/do', url), order({ action: 'stopChild', path: 'app/lamp' }, headers))).status).toBe(404)
    await system.stop()
  })
})

describe('a taken port', () => {
  test('becomes any free one, the system starts, and the line says so', async () => {
    const first = await inspected(supervisor('a', [lamp()]))
    const port = Number(first.url.port)
    const said: string[] = []
    const write = process.stderr.write.bind(process.stderr)
    process.stderr.write = ((text: string) => said.push(text)) as never
    const second = await start(supervisor('b', [lamp()]), { inspect: inspector({ port }) }).finally(
      () => (process.stderr.write = write),
    )
    expect(said.join('')).toMatch(
      new RegExp(`^rootcatch: inspector of b \\(port ${port} is taken\\): http://127\\.0\\.0\\.1:\\d+/\\?token=`),
    )
    expect(new URL(handleOf(second).url).port).not.toBe(String(port))
    await first.system.stop()
    await second.stop()
  })

  test('or an address that is not there is an event and one line, and the system starts without', async () => {
    const said: string[] = []
    const write = process.stderr.write.bind(process.stderr)
    process.stderr.write = ((text: string) => said.push(text)) as never
    const inspect = inspector({ port: 0, host: '203.0.113.1', allowedHosts: ['x.example'] })
    const system = await start(supervisor('b', [lamp()]), { inspect }).finally(() => (process.stderr.write = write))
    expect(handleOf(system).url).toBe('')
    expect(said).toHaveLength(1)
    await system.stop()
  })

  test('a start that fails leaves nothing behind', async () => {
    const links: string[] = []
    const inspect = inspector({ port: 0, announce: (link) => links.push(link) })
    const bad = actor(
      'bad',
      setup({}).createMachine({
        entry: () => {
          throw new Error('no start')
        },
      }),
    )
    await expect(
      start(supervisor('b', [bad]), { inspect, catch: () => ({ decision: 'stop' }) as never }),
    ).rejects.toThrow('no start')
    await expect(ask(links[0] ?? '')).rejects.toThrow('ECONNREFUSED')
  })
})

test('many viewers of one cookie: a used one enters again without the link', async () => {
  const { system, url } = await inspected(supervisor('app', [lamp()]))
  const cookie = await enter(system)
  expect((await ask(url, { headers: { cookie } })).status).toBe(200)
  await settle()
  await system.stop()
})
