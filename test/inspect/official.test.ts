import { createInspector, createWebSocketInspector } from '@statelyai/inspect'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { actor, start, supervisor, task } from 'rootcatch'
import { settle } from 'rootcatch/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { createActor, fromCallback, fromPromise, setup } from 'xstate'
import { browsing, noBrowser } from '../support/browser.ts'
import { ask, enter, handleOf, inspected, Looker, upgrade, type Frame } from '../support/inspecting.ts'
import { tell } from '../support/lives.ts'

const machine = setup({
  actors: { load: fromPromise(async () => 'loaded'), hear: fromCallback(() => {}) },
  guards: { isFine: () => true },
}).createMachine({
  id: 'player',
  type: 'parallel',
  context: { password: 'hunter2', error: new TypeError('wrong'), run: function go() {}, deep: { a: { b: { c: 1 } } } },
  states: {
    sound: {
      initial: 'on',
      states: { on: { on: { mute: { target: 'off', guard: 'isFine', actions: () => {} } } }, off: {} },
    },
    track: {
      initial: 'loading',
      states: {
        loading: { invoke: { src: 'load', id: 'load', onDone: 'playing' } },
        playing: { invoke: { src: 'hear', id: 'hear' } },
      },
    },
  },
})

/** What the official package says of the machine on its own. */
async function official(): Promise<readonly Frame[]> {
  const messages: Frame[] = []
  const { inspect } = createInspector({
    send: (message) => void messages.push(JSON.parse(JSON.stringify(message)) as Frame),
  })
  const ref = createActor(machine, { inspect })
  ref.start()
  await settle()
  const hasSnapshotAfter = (type: string): boolean =>
    messages.some((message) => message.type === '@xstate.snapshot' && message['event']?.type === type)
  ref.send({ type: 'mute' })
  await expect.poll(() => hasSnapshotAfter('mute')).toBe(true)
  ref.stop()
  await expect.poll(() => hasSnapshotAfter('xstate.stop')).toBe(true)
  return messages
}

/** What we say of it, from the moment it starts. */
async function ours(): Promise<readonly Frame[]> {
  const { system, url, cookie } = await inspected(supervisor('app', []))
  const socket = new WebSocket(`ws://${url.host}/stately/live`, {
    headers: { cookie: await cookie(), origin: url.origin },
  })
  const messages: Frame[] = []
  socket.on('message', (data) => messages.push(JSON.parse(String(data)) as Frame))
  await new Promise((resolve) => socket.once('open', resolve))
  await expect.poll(() => messages.length).toBeGreaterThan(0)
  await system.spawn(actor('player', machine))
  await settle()
  tell(system, 'app/player:1', { type: 'mute' } as never)
  await expect.poll(() => messages.some(({ event }) => event?.type === 'mute')).toBe(true)
  await settle()
  await system.supervisor('app').stopChild('player:1')
  await expect.poll(() => messages.filter(({ snapshot }) => snapshot?.status === 'stopped').length).toBeGreaterThan(0)
  socket.close()
  await system.stop()
  return messages
}

/** Fields of a message and their types, without what may be left out. */
const shapeOf = (message: Frame | undefined): Record<string, string> =>
  Object.fromEntries(
    Object.entries(message ?? {})
      .filter(([key]) => !['parentId', 'sourceId'].includes(key))
      .map(([key, value]): [string, string] => [key, value === null ? 'null' : typeof value])
      .toSorted(([one], [other]) => one.localeCompare(other)),
  )

describe('the three messages', () => {
  test('have the fields and types of the official package, version 0.7.2', async () => {
    const [theirs, own] = [await official(), await ours()]
    for (const type of ['@xstate.actor', '@xstate.event', '@xstate.snapshot']) {
      const mine = own.filter((message) => message.type === type && message['name'] !== 'app')
      expect(shapeOf(mine[0]), type).toEqual(shapeOf(theirs.find((message) => message.type === type)))
      expect(new Set(mine.map(({ _version: version, id }) => `${version} ${id}`))).toEqual(new Set(['0.7.2 null']))
      expect(mine.every(({ createdAt }) => /^\d{13}$/.test(createdAt as string))).toBe(true)
    }
    const actorOf = (messages: readonly Frame[]): Frame =>
      messages.find(({ type, definition }) => type === '@xstate.actor' && String(definition).includes('track')) as Frame
    const [their, mine] = [actorOf(theirs), actorOf(own)]
    const [theirDefinition, myDefinition] = [JSON.parse(their['definition']), JSON.parse(mine['definition'])]
    // Differences, each on purpose: order of keys, errors, secrets.
    expect(Object.keys(theirDefinition)).toEqual(Object.keys(theirDefinition).toSorted())
    expect(Object.keys(myDefinition)).toEqual(['id', 'type', 'context', 'states'])
    expect(theirDefinition.states).toEqual(myDefinition.states)
    expect(theirDefinition.context).toMatchObject({ password: 'hunter2', error: {}, run: { type: 'go' } })
    expect(myDefinition.context).toMatchObject({
      password: '[redacted]',
      error: { name: 'TypeError', message: 'wrong' },
      run: { type: 'go' },
    })
    expect(mine['name']).toBe('player:1')
    const valueOf = (messages: readonly Frame[]): unknown =>
      messages.findLast(({ type, snapshot }) => type === '@xstate.snapshot' && snapshot.value?.sound === 'off')?.[
        'snapshot'
      ].value
    expect(valueOf(own)).toEqual(valueOf(theirs))
  })

  test('come in order: an actor before all else of its id, parents first, and a final status at the end', async () => {
    const own = await ours()
    const known = new Set<unknown>()
    const strangers = own.filter(({ type, sessionId, parentId }) => {
      if (type === '@xstate.actor' && (parentId === undefined || known.has(parentId))) known.add(sessionId)
      return !known.has(sessionId)
    })
    expect(strangers).toEqual([])
    const ended = own.filter(({ snapshot, type }) => type === '@xstate.snapshot' && snapshot.status !== 'active')
    const names = new Map(
      own.filter(({ type }) => type === '@xstate.actor').map(({ sessionId, name }) => [sessionId, name]),
    )
    expect(new Set(ended.map(({ sessionId }) => names.get(sessionId)))).toEqual(new Set(['load', 'hear', 'player:1']))
    expect(new Set(own.map(({ rootId }) => names.get(rootId)))).toEqual(new Set(['app']))
  })
})

describe('accept', () => {
  test('shows what the official WebSocket client of another process sends, with its chart, and lets it go', async () => {
    const { system } = await inspected(supervisor('app', []), { accept: true })
    const looker = await Looker.at(system)
    const { acceptUrl = '' } = handleOf(system)
    const client = createWebSocketInspector({ url: acceptUrl })
    const ref = createActor(machine, { inspect: client.inspect })
    ref.start()
    const named = (name: string): Frame | undefined =>
      looker.frames.flatMap((frame) => (frame['nodes'] ?? []) as Frame[]).findLast((row) => row['name'] === name)
    await expect.poll(() => named('player')?.['chart'] ?? named(ref.id)?.['chart']).toBeDefined()
    const row = named('player') ?? named(ref.id)
    const { chart } = await looker.until(({ type, hash }) => type === 'chart' && hash === row?.['chart'])
    expect(chart.root.states.map(({ key }: { key: string }) => key)).toEqual(['sound', 'track'].toSorted())
    expect(row?.['path']).toMatch(/^remote:1\//)
    looker.send({ type: 'watch', id: row?.['id'] })
    const { context } = await looker.until(({ type }) => type === 'detail')
    expect(context.password).toBe('[redacted]')
    client.stop()
    await expect.poll(() => named('remote:1')?.['phase']).toBe('stopped')
    await looker.close()
    await system.stop()
  })

  test('needs its own token, no cookie, and of browsers an origin that was named', async () => {
    const { system, url } = await inspected(supervisor('app', []), { accept: { origins: ['http://localhost:5173'] } })
    const { acceptUrl = '' } = handleOf(system)
    expect(await upgrade(acceptUrl, {})).toBe(101)
    expect(await upgrade(acceptUrl, { origin: 'http://localhost:5173' })).toBe(101)
    expect(await upgrade(acceptUrl, { origin: url.origin })).toBe(403)
    expect(await upgrade(acceptUrl.replace(/token=./, 'token=_'), {})).toBe(401)
    expect(await upgrade(new URL('/in', url), { cookie: await enter(system) })).toBe(401)
    const token = new URL(acceptUrl).searchParams.get('token') ?? ''
    expect((await ask(new URL(`/?token=${token}`, url))).status).toBe(401)
    await system.stop()
  })

  test('ignores garbage, strangers and floods, and no process touches what is not its own', async () => {
    const { system } = await inspected(supervisor('app', [task('t', () => 1)]), { accept: true })
    const looker = await Looker.at(system)
    const socket = new WebSocket(handleOf(system).acceptUrl ?? '')
    await new Promise((resolve) => socket.once('open', resolve))
    const own = looker.row('app')?.['id'] as string
    const say = (message: object): void => socket.send(JSON.stringify({ _version: '0.7.2', ...message }))
    socket.send('{')
    socket.send(Buffer.from([1]))
    say({ type: '@xstate.nothing', sessionId: 'a' })
    say({ type: '@xstate.actor', sessionId: own, name: 'app', parentId: own, definition: '{"states":' })
    say({ type: '@xstate.actor', sessionId: 'a', name: 'a', parentId: 'b' })
    say({
      type: '@xstate.actor',
      sessionId: 'b',
      name: 'b',
      parentId: 'a',
      definition: '{"id":"b","states":{"x":{"on":{"go":"#nobody.x"}}}}',
    })
    say({ type: '@xstate.snapshot', sessionId: 'c', snapshot: { status: 'nonsense', value: { x: 7 } } })
    for (let n = 0; n < 2_500; n += 1) say({ type: '@xstate.actor', sessionId: `n${n}`, name: 'n' })
    say({ type: '@xstate.event', sessionId: 'a', event: { type: 'the last' } })
    await looker.until(({ events }) => events?.some(({ type }: { type: string }) => type === 'the last'))
    const { value } = await looker.ask('search', { text: 'remote:1' })
    expect(value.total).toBeLessThanOrEqual(2_002)
    expect(looker.row('app')).toMatchObject({ id: own, kind: 'supervisor', phase: 'running' })
    socket.terminate()
    await looker.close()
    await system.stop()
  })
})

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** The package's own receiver on a page of another origin; what it needs of other packages is not what is tested. */
async function viewer(): Promise<string> {
  const source = new URL('./index.mjs', import.meta.resolve('@statelyai/inspect'))
  const stub = `export default Object.assign(() => '', { configure: () => JSON.stringify }); export const stringify = JSON.stringify, uuid = () => '';
    export const toObserver = (next) => ({ next })`
  const names = [
    'fast-safe-stringify',
    'xstate',
    'safe-stable-stringify',
    'isomorphic-ws',
    'partysocket',
    'superjson',
    '#uuid',
  ]
  const imports = Object.fromEntries(names.map((name) => [name, '/stub.js']))
  const page = `<!doctype html><pre id="got"></pre><script type="importmap">${JSON.stringify({ imports })}</script>
    <script type="module">
      import { createBrowserReceiver } from '/receiver.js'
      const got = new Set()
      createBrowserReceiver().subscribe(({ type, name }) => {
        got.add(type + ' ' + (name ?? ''))
        document.getElementById('got').textContent = [...got].sort().join('; ')
      })
    </script>`
  const files: Record<string, readonly [string, string]> = {
    '/': ['text/html', page],
    '/receiver.js': ['text/javascript', readFileSync(source, 'utf8')],
    '/stub.js': ['text/javascript', stub],
  }
  const server = createServer((request, response) => {
    const [type, text] = files[request.url ?? ''] ?? ['text/plain', '']
    response.writeHead(200, { 'content-type': type }).end(text)
  })
  servers.push(server)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

const { open } = browsing()

describe.skipIf(noBrowser !== undefined)(`the bridge${noBrowser === undefined ? '' : ` (${noBrowser})`}`, () => {
  test('does nothing before it is agreed to, then hands the official receiver all three, and all again after a reload', async () => {
    const { system } = await inspected(supervisor('app', [actor('player', machine)]), { stately: await viewer() })
    const page = await open(system)
    await page.goto(`${handleOf(system).url}stately`)
    await page.getByRole('button', { name: 'Connect' }).waitFor()
    expect(page.frames()).toHaveLength(1)
    expect(handleOf(system).viewers).toBe(0)
    await page.getByRole('button', { name: 'Connect' }).click()
    const frame = page.frameLocator('iframe')
    const got = frame.locator('#got')
    await got.filter({ hasText: '@xstate.actor player' }).waitFor()
    tell(system, 'app/player', { type: 'mute' } as never)
    await got.filter({ hasText: '@xstate.event' }).filter({ hasText: '@xstate.snapshot' }).waitFor()
    await page.frames()[1]?.evaluate('location.reload()')
    await got.filter({ hasText: '@xstate.actor app; @xstate.actor hear; @xstate.actor player' }).waitFor()
    await system.stop()
    await page.getByText('The system has stopped').waitFor()
  })

  test('does not exist where it is switched off', async () => {
    const { system, url } = await inspected(supervisor('app', []), { stately: false })
    const headers = { cookie: await enter(system), origin: url.origin }
    expect((await ask(new URL('/stately', url), { headers })).status).toBe(404)
    expect(await upgrade(new URL('/stately/live', url), headers)).toBe(404)
    await system.stop()
  })
})

test('start() is not held up by an inspector of the official kind beside ours: either is given', async () => {
  const system = await start(supervisor('app', []), { inspect: () => {} })
  expect(system.inspector).toBeUndefined()
  await system.stop()
})
