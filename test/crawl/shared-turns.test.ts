import { describe, expect, test } from 'vitest'
import { memory, type Broker } from 'rootcatch'
import { manualClock, settle, type ManualClock } from 'rootcatch/testing'
import type { HostOutcome } from '../../src/crawl/host-pace.ts'
import { defaultPace, type Pace } from '../../src/crawl/politeness-options.ts'
import { SharedTurns } from '../../src/crawl/shared-turns.ts'

const HOST = 'shop.example:443'

/** Processes that ask one host, on one store. */
function fleet(pace: Partial<Pace>): {
  readonly clock: ManualClock
  readonly members: Set<string>
  readonly broker: Broker
  readonly policy: Pace
  join(id: string): SharedTurns
  /** How many turns one gets until there is none. */
  take(turns: SharedTurns, most?: number): Promise<readonly number[]>
  end(turns: SharedTurns, startedAt: number, outcome?: HostOutcome): void
} {
  const clock = manualClock(1_000_000)
  const broker = memory()
  void broker.open(clock)
  const members = new Set<string>()
  const policy = { ...defaultPace, ...pace }
  const join = (id: string): SharedTurns => {
    members.add(id)
    const known = { id, known: members, members: () => Promise.resolve(members) }
    return new SharedTurns({ broker, path: 'app/books', clock, random: () => 0.5, fleet: known })
  }
  const take = async (turns: SharedTurns, most = 100): Promise<readonly number[]> => {
    const starts: number[] = []
    for (let idle = 0; idle < 2 && starts.length < most;) {
      const turn = turns.tryTurn(HOST, policy, () => {})
      if ('nextAt' in turn) idle += 1
      else {
        idle = 0
        starts.push(turn.startedAt)
      }
      await settle()
    }
    return starts
  }
  const end = (turns: SharedTurns, startedAt: number, outcome: HostOutcome = { kind: 'ok' }): void =>
    turns.end(HOST, policy, { outcome, startedAt }, () => {})
  return { clock, members, broker, policy, join, take, end }
}

describe('turns that processes share', () => {
  test('are no more at once than the host bears, and all come back, also those that end in the same moment', async () => {
    const { join, take, end } = fleet({ concurrency: 4 })
    const [one, other] = [join('one'), join('other')]
    const first = await take(one, 3)
    const second = await take(other)
    expect([first.length, second.length]).toEqual([3, 1])
    for (const startedAt of first) end(one, startedAt)
    for (const startedAt of second) end(other, startedAt)
    await settle()
    expect(await take(other)).toHaveLength(4)
  })

  test('of a process that is gone are free', async () => {
    const { clock, members, join, take } = fleet({ concurrency: 4 })
    expect(await take(join('one'))).toHaveLength(4)
    const other = join('other')
    expect(await take(other)).toHaveLength(0)
    members.delete('one')
    await clock.advance(250)
    expect(await take(other)).toHaveLength(4)
  })

  test('keep the delay of the host between each other, whoever takes them', async () => {
    const { clock, join, take, end } = fleet({ delay: 60 })
    const sides = [join('one'), join('other')] as const
    const starts: number[] = []
    for (let step = 0; step < 200; step += 1) {
      const side = sides[step % 2] as SharedTurns
      for (const startedAt of await take(side)) {
        starts.push(startedAt)
        end(side, startedAt)
      }
      await clock.advance(7)
    }
    const gaps = starts.slice(1).map((start, at) => start - (starts[at] as number))
    expect(starts.length).toBeGreaterThan(18)
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(60)
  })

  test('are none for anybody while the host wants to be left alone', async () => {
    const { clock, join, take, end } = fleet({ concurrency: 4 })
    const [one, other] = [join('one'), join('other')]
    const [startedAt = 0] = await take(one, 1)
    end(one, startedAt, { kind: 'throttled', retryAfter: 10_000 })
    await settle()
    expect(await take(other)).toEqual([])
    await clock.advance(9_000)
    expect(await take(other)).toEqual([])
    await clock.advance(1_000)
    expect((await take(other)).length).toBeGreaterThan(0)
  })

  test('that nobody takes are given back', async () => {
    const { clock, join, take, policy } = fleet({ concurrency: 1 })
    const [one, other] = [join('one'), join('other')]
    expect(one.tryTurn(HOST, policy, () => {})).toEqual({ nextAt: Infinity })
    await settle()
    expect(await take(other)).toEqual([])
    await clock.advance(100)
    expect(await take(other)).toHaveLength(1)
  })

  test('leave nothing behind', async () => {
    const { broker, join, take, end } = fleet({ concurrency: 2 })
    const one = join('one')
    for (const startedAt of await take(one)) end(one, startedAt)
    await settle()
    await one.close(() => defaultPace)
    expect(await broker.swap({ queue: 'app/books', name: `host ${HOST}`, from: undefined, to: null })).toEqual({
      swapped: true,
      now: undefined,
    })
  })
})
