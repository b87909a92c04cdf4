import { actor, supervisor } from 'rootcatch'
import { describe, expect, test } from 'vitest'
import { setup } from 'xstate'
import { Recording } from '../../src/inspect/recording.ts'
import { ask, inspected, Looker, type Frame } from '../support/inspecting.ts'
import { tell } from '../support/lives.ts'

const lamp = setup({}).createMachine({
  initial: 'off',
  states: { off: { on: { press: 'on' } }, on: { on: { press: 'off' } } },
})

const framesOf = (text: string): readonly Frame[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Frame)

describe('GET /export', () => {
  test('is a first picture without the value that acts, then what was shown since, details included', async () => {
    const { system, url, cookie } = await inspected(supervisor('app', [actor('lamp', lamp)]), { control: true })
    const looker = await Looker.at(system)
    const id = looker.row('app/lamp')?.['id']
    looker.send({ type: 'watch', id })
    await looker.until(({ type }) => type === 'detail')
    tell(system, 'app/lamp', { type: 'press' } as never)
    await looker.until(({ fired }) => fired?.length > 0)
    const { text } = await ask(new URL('/export', url), { headers: { cookie: await cookie() } })
    const [hello, ...rest] = framesOf(text)
    expect(hello).toMatchObject({ type: 'hello', version: 1, system: { control: false } })
    expect(text).not.toContain(looker.frames[0]?.['system'].control)
    expect(rest).toEqual(looker.frames.slice(1, rest.length + 1))
    expect(rest.some(({ events }) => events?.some(({ type }: Frame) => type === 'press'))).toBe(true)
    await looker.close()
    await system.stop()
  })

  test('goes on with the next viewer when the one that was recorded leaves, and is a picture where nobody looks', async () => {
    const { system, url, cookie } = await inspected(supervisor('app', [actor('lamp', lamp)]))
    const headers = { cookie: await cookie() }
    const [first, second] = [await Looker.at(system), await Looker.at(system)]
    await first.close()
    await expect.poll(() => system.inspector?.viewers).toBe(1)
    tell(system, 'app/lamp', { type: 'press' } as never)
    await second.until(({ type, events }) => type === 'tick' && events !== undefined)
    const frames = framesOf((await ask(new URL('/export', url), { headers })).text)
    expect(frames.slice(0, 2).map(({ type }) => type)).toEqual(['hello', 'tick'])
    await second.close()
    await expect.poll(() => system.inspector?.observing).toBe(false)
    expect(framesOf((await ask(new URL('/export', url), { headers })).text).map(({ type }) => type)).toEqual(['hello'])
    expect(system.inspector?.observing).toBe(false)
    await system.stop()
  })
})

describe('a recording', () => {
  test('stays small: what is too old is part of its first picture, and nothing is lost of the state', () => {
    const hello = { type: 'hello', at: 0, system: {}, charts: {}, nodes: [], failures: [], events: [], stats: [] }
    const recording = new Recording(JSON.stringify(hello))
    const filler = 'x'.repeat(10_000)
    const ticks = 3_000
    for (let n = 1; n <= ticks; n += 1) {
      const nodes = [
        { id: `n${n % 7}`, events: n },
        { id: `once${n}`, events: n },
      ]
      const gone = n > 1 ? [`once${n - 1}`] : []
      recording.add(JSON.stringify({ type: 'tick', at: n, nodes, gone, failures: [{ number: n }], filler }))
      if (n === 1) recording.add(JSON.stringify({ type: 'chart', hash: 'h', chart: { root: 1 } }))
    }
    const text = recording.text()
    expect(text.length).toBeLessThan(5 * 1024 * 1024)
    const [first, ...rest] = framesOf(text)
    const nodes = new Map<string, number>()
    const all: number[] = []
    for (const frame of [first as Frame, ...rest]) {
      for (const { id, events } of frame['nodes']) nodes.set(id, events)
      for (const id of frame['gone'] ?? []) nodes.delete(id)
      all.push(...frame['failures'].map(({ number }: Frame) => number))
    }
    expect(nodes.size).toBe(8)
    expect(nodes.get(`once${ticks}`)).toBe(ticks)
    expect(all.at(-1)).toBe(ticks)
    expect(new Set(all).size).toBe(all.length)
    expect(first?.['charts']).toEqual({ h: { root: 1 } })
    expect(first?.['at']).toBe(rest[0]?.['at'] - 1)
  })
})
