import { describe, expect, test } from 'vitest'
import { createMachine } from 'xstate'
import { actor, resume, start, stop, supervisor, task, type Failure, type Task } from 'rootcatch'
import { notify, type NotifyOptions, type Send } from 'rootcatch/plugins'
import { manualClock, settle, type ManualClock } from 'rootcatch/testing'
import { childAt } from '../support/lives.ts'

const quiet = { catch: () => resume }

interface Sent {
  readonly texts: string[]
  readonly failures: (readonly Failure[])[]
  readonly send: Send
}

function recorder(): Sent {
  const texts: string[] = []
  const failures: (readonly Failure[])[] = []
  return {
    texts,
    failures,
    send: (text, of) => {
      texts.push(text.replaceAll(/job:\S+/g, 'job').replaceAll(/ after 1 attempt in \d+ms/g, ''))
      failures.push(of)
    },
  }
}

const failing = (name: string): Task<string, never> =>
  task(name, (message: string): never => {
    throw new Error(message)
  })

async function world(
  clock: ManualClock,
  options: NotifyOptions = {},
): Promise<
  Sent & {
    fail(message: string, times?: number): Promise<void>
    system: Awaited<ReturnType<typeof start>>
    other(message: string): Promise<void>
  }
> {
  const sent = recorder()
  const [charge, refund] = [failing('charge'), failing('refund')]
  const system = await start(supervisor('app', [charge, refund]), {
    ...quiet,
    clock,
    plugins: [notify(sent.send, { clock, ...options })],
  })
  return {
    ...sent,
    system,
    fail: async (message, times = 1) => {
      for (let n = 0; n < times; n += 1) await system.run(charge, message).settled()
    },
    other: async (message) => void (await system.run(refund, message).settled()),
  }
}

describe('notify', () => {
  test('tells of a failed job at once, and of those like it once per window with their number', async () => {
    const clock = manualClock()
    const { fail, texts, failures, system } = await world(clock)
    await fail('card 1 declined')
    expect(texts).toEqual(['app/charge/job failed: card 1 declined'])
    await clock.advance('1m')
    for (let card = 2; card < 44; card += 1) await fail(`card ${card} declined`)
    await clock.advance('3m')
    expect(texts).toHaveLength(1)
    await clock.advance('1m')
    expect(texts.slice(1)).toEqual(['app/charge/job failed: card 43 declined (and 41 more like it within 4m)'])
    expect(failures[1]).toHaveLength(10)
    await fail('card 44 declined')
    await clock.advance('5m')
    expect(texts.slice(2)).toEqual(['app/charge/job failed: card 44 declined (again within 5m)'])
    await clock.advance('5m')
    expect(clock.pending).toBe(0)
    await fail('card 45 declined')
    expect(texts.slice(3)).toEqual(['app/charge/job failed: card 45 declined'])
    await system.stop()
    expect(clock.pending).toBe(0)
  })

  test.each([
    ['error', 3],
    ['task', 2],
    ['all', 1],
  ] as const)('per %s is what counts as the same', async (per, notices) => {
    const { fail, other, texts, system } = await world(manualClock(), { per })
    await fail('declined')
    await fail('no money')
    await other('declined')
    expect(texts).toHaveLength(notices)
    await system.stop()
  })

  test('takes a limit, and which failures matter', async () => {
    const { fail, texts, system } = await world(manualClock(), {
      limit: 2,
      when: (failure) => !failure.message.includes('fine'),
    })
    await fail('this is fine')
    await fail('declined', 3)
    expect(texts).toHaveLength(2)
    await system.stop()
  })

  test('tells what is held back when the system stops, and leaves no timer', async () => {
    const clock = manualClock()
    const { fail, texts, system } = await world(clock)
    await fail('declined', 3)
    expect(texts).toHaveLength(1)
    await system.stop()
    expect(texts.slice(1)).toEqual(['app/charge/job failed: declined (and 1 more like it)'])
    expect(clock.pending).toBe(0)
  })

  test('a send that throws is reported and not tried again; the job does not notice', async () => {
    const clock = manualClock()
    const job = failing('job')
    let sends = 0
    const broken = (): never => {
      sends += 1
      throw new Error('no network')
    }
    const system = await start(job, { ...quiet, clock, plugins: [notify(broken, { clock })] })
    const reported: unknown[] = []
    system.on('plugin.failed', ({ plugin, error }) => reported.push([plugin, (error as Error).message]))
    expect((await system.run(job, 'x').settled()).status).toBe('failed')
    expect(reported).toHaveLength(1)
    expect(reported[0]).toEqual(['notify', expect.stringContaining('no network')])
    await clock.advance('1h')
    expect(sends).toBe(1)
    await system.run(job, 'x').settled()
    await system.run(job, 'x').settled()
    await clock.advance('1h')
    expect([sends, reported.length]).toEqual([3, 2])
    await system.run(job, 'y').settled() // what a timer's send threw comes out with the next hook
    expect([sends, reported.length]).toEqual([4, 3])
    await system.stop()
  })

  test('waits for a notice that is being sent when the system stops', async () => {
    const clock = manualClock()
    const job = failing('job')
    const texts: string[] = []
    const slow: Send = async (text) => {
      await settle()
      texts.push(text)
    }
    const system = await start(job, { ...quiet, plugins: [notify(slow, { clock })] })
    await system.run(job, 'x').settled()
    await system.run(job, 'x').settled()
    await system.stop()
    expect(texts).toHaveLength(2)
  })

  test('hides secrets, and shows one line', async () => {
    const { fail, texts, system } = await world(manualClock())
    await fail('no way\nto redis://:hunter2@cache')
    expect(texts).toEqual(['app/charge/job failed: no way\\nto redis://:[redacted]@cache'])
    await system.stop()
  })

  test('given to a task it hears of that task only', async () => {
    const sent = recorder()
    const mine = task('mine', { plugins: [notify(sent.send)] }, (): never => {
      throw new Error('mine')
    })
    const other = failing('other')
    const system = await start(supervisor('app', [mine, other]), quiet)
    await system.run(other, 'other').settled()
    await system.run(mine).settled()
    expect(sent.texts).toEqual(['app/mine/job failed: mine'])
    await system.stop()
  })

  test('of all tells what failed beside jobs, once, however many places it is listed at', async () => {
    const clock = manualClock()
    const sent = recorder()
    const teller = notify(sent.send, { of: 'all', clock })
    const shaky = createMachine({
      on: {
        break: {
          actions: () => {
            throw new Error('broken')
          },
        },
      },
    })
    const inner = supervisor('inner', { plugins: [teller], catch: () => stop }, [
      actor('shaky', shaky, { restart: 'temporary' }),
    ])
    const job = failing('job')
    const system = await start(supervisor('app', { plugins: [teller] }, [inner, job]), { ...quiet, clock })
    childAt(system, 'app/inner/shaky').ref.send({ type: 'break' })
    await clock.advance(0)
    await system.run(job, 'job').settled()
    expect(sent.texts.map((text) => text.split(' ')[0])).toEqual(['app/inner/shaky', 'app/job/job'])
    await system.stop()
    expect(sent.texts).toHaveLength(2)
    expect(clock.pending).toBe(0)
  })

  test.each([
    [() => notify(undefined as never), 'notify() got send undefined. Pass a function that takes a text.'],
    [() => notify(() => {}, { limit: 0 }), 'notify() got limit 0 (number). Use a whole number from 1.'],
    [
      () => notify(() => {}, { window: 0 }),
      `notify() got window 0 (number). Write milliseconds above 0, or a text like '250ms', '30s', '5m'.`,
    ],
    [() => notify(() => {}, { per: 'job' as never }), `notify() got per "job" (string). Use 'error', 'task' or 'all'.`],
    [() => notify(() => {}, { wnidow: 1 } as never), 'notify() got an unknown option "wnidow". Did you mean "window"?'],
  ])('says what is wrong with an option', (make, message) => {
    expect(make).toThrow(message)
  })
})
