import { describe, expect, test } from 'vitest'
import { exponential, PermanentError, plugin, resume, start, supervisor, task, type Run, type System } from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'
import { circuitBreaker, type CircuitBreaker, type CircuitBreakerOptions } from 'rootcatch/plugins'
import { manualClock, settle } from 'rootcatch/testing'
import { keptStore } from '../support/kept-broker.ts'
import { newFiles } from '../support/sqlite-store.ts'

const newFile = newFiles()
const quiet = { catch: () => resume }
const never = new Promise<never>(() => {})

/** A service that is up or down, two tasks that use it, and one that does not. */
async function world(options: CircuitBreakerOptions = {}) {
  const clock = manualClock()
  const changes: string[] = []
  const bank = circuitBreaker('bank', {
    failures: 3,
    reset: '10s',
    clock,
    onChange: ({ state, at, task: path, openUntil }) =>
      changes.push(
        [path ?? 'all', state, `at ${at}`, ...(openUntil === undefined ? [] : [`until ${openUntil}`])].join(' '),
      ),
    ...options,
  })
  const calls: string[] = []
  const service = { down: true as boolean | 'hangs' }
  const call = (name: string) => (): unknown => {
    calls.push(name)
    if (service.down === 'hangs') return never
    if (service.down) throw new Error('bank is down')
    return 'paid'
  }
  const charge = task('charge', { plugins: [bank], timeout: '2s' }, call('charge'))
  const refund = task('refund', { plugins: [bank], retry: { attempts: 2 } }, call('refund'))
  const mail = task('mail', () => 'sent')
  const system = await start(supervisor('shop', [charge, refund, mail]), { ...quiet, clock })
  const trip = async (): Promise<void> => {
    for (let n = 0; n < 3; n += 1) await system.run(charge).settled()
  }
  return { clock, changes, bank, calls, service, charge, refund, mail, system, trip }
}

describe('circuitBreaker', () => {
  test('opens after failures in a row; then jobs wait, no body is called, no attempt is charged, nothing is lost', async () => {
    const { clock, bank, calls, service, refund, mail, system, trip } = await world()
    expect(bank.state()).toBe('closed')
    await trip()
    expect(bank.state()).toBe('open')
    const runs = Array.from({ length: 25 }, () => system.run(refund))
    await clock.advance('9s')
    expect(calls).toHaveLength(3)
    expect(await system.run(mail)).toBe('sent') // a task without it does not notice
    service.down = false
    await clock.advance('5s')
    const outcomes = await Promise.all(runs.map((run) => run.settled()))
    expect(outcomes).toEqual(runs.map(() => ({ status: 'done', value: 'paid', attempts: 1 })))
    expect(bank.state()).toBe('closed')
    await system.stop()
    expect(clock.pending).toBe(0)
  })

  test('lets one job probe; a failure opens it again, a success lets all go on', async () => {
    const { clock, changes, calls, service, charge, system, trip } = await world()
    await trip()
    const runs = Array.from({ length: 5 }, () => system.run(charge))
    await clock.advance('10s')
    expect(calls).toHaveLength(4)
    service.down = false
    await clock.advance('10s')
    expect(calls).toHaveLength(8)
    expect((await Promise.all(runs.map((run) => run.settled()))).map(({ status }) => status)).toEqual([
      'failed',
      'done',
      'done',
      'done',
      'done',
    ])
    expect(changes).toEqual([
      'all open at 0 until 10000',
      'all half-open at 10000',
      'all open at 10000 until 20000',
      'all half-open at 20000',
      'all closed at 20000',
    ])
    await system.stop()
  })

  test('a job that is waiting for its next attempt waits for the circuit as well, and is charged one attempt a try', async () => {
    const { clock, bank, calls, service, refund, system } = await world({ failures: 1 })
    const run = system.run(refund)
    await clock.advance('9s')
    expect(calls).toEqual(['refund'])
    expect(bank.state()).toBe('open')
    service.down = false
    await clock.advance('1s')
    expect(await run.settled()).toEqual({ status: 'done', value: 'paid', attempts: 2 })
    await system.stop()
  })

  test('opens for longer each time the probe fails, if it is given a backoff', async () => {
    const reset = exponential({ from: '10s', to: '30s', jitter: 0 })
    const { clock, changes, charge, system, trip } = await world({ reset })
    await trip()
    for (let n = 0; n < 5; n += 1) void system.run(charge)
    await clock.advance('100s')
    expect(changes.filter((change) => change.includes('until'))).toEqual([
      'all open at 0 until 10000',
      'all open at 10000 until 30000',
      'all open at 30000 until 60000',
      'all open at 60000 until 90000',
      'all open at 90000 until 120000',
    ])
    await system.stop()
  })

  test('counts timeouts, also of bodies that never end', async () => {
    const { clock, bank, service, charge, system } = await world()
    service.down = 'hangs'
    for (let n = 0; n < 3; n += 1) void system.run(charge)
    await clock.advance('2s')
    expect(bank.state()).toBe('open')
    await system.stop()
  })

  test.each([
    [undefined, 'closed'],
    [() => true, 'open'],
  ] as const)('does not count a PermanentError unless told to', async (counts, state) => {
    const clock = manualClock()
    const bank = circuitBreaker('bank', { failures: 1, clock, ...(counts && { counts }) })
    const job = task('job', { plugins: [bank] }, (): never => {
      throw new PermanentError('no such card')
    })
    const system = await start(job, { ...quiet, clock })
    await system.run(job).settled()
    expect(bank.state()).toBe(state)
    await system.stop()
  })

  test.each([
    ['a cancel', 0, ({ cancel }: { cancel: () => void }) => cancel()],
    ['probeTime', 60_000, () => {}],
  ] as const)('a probe that ends by %s gives its place to another', async (_, ms, end) => {
    const { clock, bank, calls, service, refund, system, trip } = await world()
    await trip()
    service.down = 'hangs'
    const probe = system.run(refund)
    await clock.advance('11s') // the other task was asked first, and has no jobs
    expect([bank.state(), calls.length]).toEqual(['half-open', 4])
    const next = system.run(refund)
    await clock.advance('5s')
    expect(calls).toHaveLength(4)
    service.down = false
    end({ cancel: () => probe.cancel() })
    await clock.advance(ms)
    expect(await next).toBe('paid')
    expect(bank.state()).toBe('closed')
    probe.cancel()
    await system.stop()
  })

  test('a probe whose lease is lost gives its place to another, and says nothing', async () => {
    const clock = manualClock()
    const store = keptStore({ leaseTime: 30_000 })
    const bank = circuitBreaker('bank', { failures: 1, reset: '10s', clock })
    let calls = 0
    const job = task('job', { plugins: [bank] }, () => {
      calls += 1
      if (calls === 1) throw new Error('down')
      return calls === 2 ? never : 'up'
    })
    const system = await start(job, { ...quiet, clock, broker: store.broker() })
    await system.run(job).settled()
    const run = system.run(job)
    await clock.advance('10s')
    expect([calls, bank.state()]).toEqual([2, 'half-open'])
    store.expire(run.id)
    await clock.advance('15s')
    expect(await run).toBe('up')
    expect(bank.state()).toBe('closed')
    await system.stop()
  })

  test('probes is how many run at once while it is half-open, and how many have to succeed', async () => {
    const { clock, changes, calls, service, refund, system, trip } = await world({ probes: 2 })
    await trip()
    service.down = 'hangs'
    const runs = Array.from({ length: 6 }, () => system.run(refund))
    await clock.advance('15s')
    expect(calls).toHaveLength(5)
    service.down = false
    for (const run of runs.slice(0, 2)) run.cancel()
    await clock.advance(0)
    expect(await Promise.all(runs.slice(2))).toEqual(['paid', 'paid', 'paid', 'paid'])
    expect(changes.at(-1)).toBe('all closed at 15000')
    await system.stop()
  })

  test('takes one job to probe also while other plugins take their time before the body', async () => {
    const clock = manualClock()
    const bank = circuitBreaker('bank', { failures: 1, reset: '10s', clock })
    const slow = plugin('slow', {
      before: () => new Promise((resolve) => void clock.setTimeout(() => resolve(1), 500)),
    })
    let calls = 0
    const job = task('job', { plugins: [bank, slow] }, (): never => {
      calls += 1
      throw new Error('down')
    })
    const system = await start(job, { ...quiet, clock })
    void system.run(job)
    await clock.advance('1s')
    for (let n = 0; n < 8; n += 1) void system.run(job)
    await clock.advance('10s')
    expect(calls).toBe(2)
    await system.stop()
  })

  test('one object is one circuit at all its tasks, per task it is one each', async () => {
    for (const [per, waits] of [
      ['breaker', 1],
      ['task', 0],
    ] as const) {
      const { clock, bank, service, refund, system, trip } = await world({ per })
      await trip()
      service.down = false
      const run = system.run(refund)
      await settle()
      expect((await system.queues()).map(({ waiting }) => waiting)).toContain(waits)
      expect([bank.state('shop/charge'), bank.state('shop/refund')]).toEqual([
        'open',
        per === 'task' ? 'closed' : 'open',
      ])
      await clock.advance('12s')
      expect(await run).toBe('paid')
      await system.stop()
    }
  })

  test('closed by a job of one task, it lets the jobs of another go on at once', async () => {
    const { clock, bank, service, charge, refund, system, trip } = await world()
    await trip()
    const runs = [system.run(charge), system.run(refund)]
    service.down = false
    await clock.advance('10s')
    expect(await Promise.all(runs)).toEqual(['paid', 'paid'])
    expect(bank.state()).toBe('closed')
    await system.stop()
  })

  test('listed at a supervisor it holds back all tasks below, and is shared by systems', async () => {
    const clock = manualClock()
    const bank = circuitBreaker('bank', { failures: 1, reset: '10s', clock })
    let isDown = true
    const open = async (): Promise<{ system: System; run: () => Run }> => {
      const job = task('job', () => {
        if (isDown) throw new Error('down')
        return 'up'
      })
      const system = await start(supervisor('app', [supervisor('inner', { plugins: [bank] }, [job])]), {
        ...quiet,
        clock,
      })
      return { system, run: () => system.run(job) }
    }
    const [one, two] = [await open(), await open()]
    await one.run().settled()
    const run = two.run()
    isDown = false
    await clock.advance('9s')
    expect((await two.system.queues()).map(({ waiting }) => waiting)).toEqual([1])
    await clock.advance('2s')
    expect(await run).toBe('up')
    await one.system.stop()
    await two.system.stop()
    expect(clock.pending).toBe(0)
  })

  test('listed at a task and above it, it counts each attempt once and lets its probe through', async () => {
    const clock = manualClock()
    const bank = circuitBreaker('bank', { failures: 2, reset: '10s', clock })
    let isDown = true
    const job = task('job', { plugins: [bank] }, () => {
      if (isDown) throw new Error('down')
      return 'up'
    })
    const system = await start(job, { ...quiet, clock, plugins: [bank] })
    await system.run(job).settled()
    expect(bank.state()).toBe('closed')
    await system.run(job).settled()
    expect(bank.state()).toBe('open')
    isDown = false
    const run = system.run(job)
    await clock.advance('10s')
    expect(await run).toBe('up')
    await system.stop()
  })

  test('on a durable broker, of 300 jobs none is lost or tried more than once while the circuit opens and closes', async () => {
    const bank = circuitBreaker('bank', { failures: 3, reset: '20ms', counts: () => true })
    let calls = 0
    let duringOutage = 0
    let isDown = false
    const charge = (): number => {
      calls += 1
      if (calls === 100 || calls === 200) isDown = true
      if (isDown) {
        duringOutage += 1
        if (duringOutage % 5 === 0) isDown = false // after two failed probes
        throw new Error('down')
      }
      return calls
    }
    const tasks = [
      task('a', { plugins: [bank], concurrency: 1 }, charge),
      task('b', { plugins: [bank], concurrency: 1 }, charge),
    ]
    const system = await start(supervisor('app', tasks), { ...quiet, broker: sqlite(newFile()) })
    const runs = Array.from({ length: 150 }, () => tasks.map((one) => system.run(one))).flat()
    const outcomes = await Promise.all(runs.map((run) => run.settled()))
    expect(outcomes.filter(({ status }) => status === 'failed')).toHaveLength(duringOutage)
    expect(outcomes.filter(({ status }) => status === 'done')).toHaveLength(300 - duringOutage)
    expect(outcomes.filter(({ attempts }) => attempts !== 1)).toEqual([])
    expect(calls).toBe(300)
    expect(duringOutage).toBe(10)
    await system.stop()
  })

  test('an onChange or counts that throws is reported, and changes nothing', async () => {
    const clock = manualClock()
    const broken = (): never => {
      throw new Error('broken')
    }
    const bank = circuitBreaker('bank', { failures: 1, clock, onChange: broken, counts: broken })
    const job = task('job', { plugins: [bank] }, (): never => {
      throw new Error('down')
    })
    const system = await start(job, { ...quiet, clock })
    const reported: unknown[] = []
    system.on('plugin.failed', ({ plugin: name, error }) => reported.push([name, (error as Error).cause]))
    await system.run(job).settled()
    await system.stop()
    expect(bank.state()).toBe('open')
    expect(reported).toEqual([
      ['bank', new Error('broken')],
      ['bank', new Error('broken')],
    ])
  })

  const wrong: readonly [() => CircuitBreaker, string][] = [
    [
      () => circuitBreaker(''),
      `circuitBreaker() got name "" (string). Use a text that is not empty and has no '/' in it.`,
    ],
    [
      () => circuitBreaker('b', { failures: 0 }),
      'circuitBreaker "b" got failures 0 (number). Use a whole number from 1.',
    ],
    [
      () => circuitBreaker('b', { reset: 'soon' as never }),
      `circuitBreaker "b" got reset "soon" (string). Write milliseconds above 0, or a text like '250ms', '30s', '5m'.`,
    ],
    [
      () => circuitBreaker('b', { per: 'job' as never }),
      `circuitBreaker "b" got per "job" (string). Use 'breaker' or 'task'.`,
    ],
    [() => circuitBreaker('b', { treshold: 3 } as never), 'circuitBreaker "b" got an unknown option "treshold".'],
  ]
  test.each(wrong)('says what is wrong with an option', (make, message) => {
    expect(make).toThrow(message)
  })
})
