import { describe, expect, test } from 'vitest'
import { exponential, LeaseLostError, restart, resume, start, supervisor, SystemStoppedError, task } from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'
import { jobRecorder } from '../support/job-recorder.ts'
import { keptStore } from '../support/kept-broker.ts'

const boom = (): never => {
  throw new Error('boom')
}
const backoff = exponential({ from: '1h', to: '1h', jitter: 0 })

describe('with a broker that outlives the system', () => {
  test('J14 stop with running, waiting, retrying jobs: runs settle, records stay, the next process goes on', async () => {
    const clock = manualClock()
    const store = keptStore()
    const tries: string[] = []
    let isSecond = false
    const job = task(
      'job',
      { concurrency: 2, shutdown: '1s', retry: { attempts: 3, backoff } },
      async (kind: string, ctx) => {
        tries.push(`${kind} ${ctx.attempt} ${ctx.idempotencyKey}`)
        if (isSecond) return `${kind} in the second`
        if (kind === 'retrying') boom()
        return ctx.sleep('1d')
      },
    )
    const first = await start(supervisor('app', [job]), { clock, broker: store.broker() })
    const seen = jobRecorder()
    seen.listen(first)
    const retrying = first.run(job, 'retrying')
    await settle()
    const running = first.run(job, 'running')
    const other = first.run(job, 'running too')
    await settle()
    const waiting = first.run(job, 'waiting')
    const delayed = first.run(job, 'delayed', { delay: '2h' })
    await settle()
    const stopping = first.stop()
    await clock.advance('1s')
    await stopping
    const runs = [retrying, running, other, waiting, delayed]
    for (const run of runs) {
      expect(await run.settled()).toMatchObject({ status: 'cancelled', reason: expect.any(SystemStoppedError) })
      expect(seen.events(run.path)).not.toContain('job.cancelled') // its record stays
    }
    expect(first.stats()).toMatchObject({ openRuns: 0, jobs: { cancelled: 0 } })

    isSecond = true
    const between = store.broker()
    expect(await Promise.all(runs.map(async ({ id }) => (await between.job(id))?.status))).toEqual([
      'delayed',
      'waiting',
      'waiting',
      'waiting',
      'delayed',
    ])
    const second = await start(supervisor('app', [job]), { clock, broker: store.broker() })
    await clock.advance('3h')
    const records = await Promise.all(runs.map(({ id }) => second.job(id)))
    expect(records.map((record) => [record?.status, record?.value, record?.attempts])).toEqual([
      ['done', 'retrying in the second', 2],
      ['done', 'running in the second', 1],
      ['done', 'running too in the second', 1],
      ['done', 'waiting in the second', 1],
      ['done', 'delayed in the second', 1],
    ])
    expect(tries).toContain('retrying 1 app/job/job:1')
    expect(tries).toContain('retrying 2 app/job/job:1')
    expect(tries.filter((line) => line === 'running 1 app/job/job:2')).toHaveLength(2) // the same number again
    await second.stop()
  })

  test('J14 a restart decided above goes on in the next process, with its generation and its count', async () => {
    const clock = manualClock()
    const store = keptStore()
    const generations: (number | undefined)[] = []
    const job = task('job', boom)
    const root = supervisor('app', { catch: () => restart, restarts: { limit: 2, within: 1 }, backoff }, [job])
    const first = await start(root, { clock, broker: store.broker(), catch: () => resume })
    const run = first.run(job)
    await settle()
    await settle()
    await first.stop()
    const second = await start(root, {
      clock,
      broker: store.broker(),
      catch: (failure) => {
        generations.push(failure.generation)
        return resume
      },
    })
    await clock.advance('10h')
    expect(generations).toEqual([3]) // two restarts in all, not two in each process
    expect(await second.job(run.id)).toMatchObject({ status: 'failed', generation: 3, history: [{}, {}, {}] })
    await second.stop()
  })

  test('J15 the lease is lost while the body runs: signal aborts, its value is not written, same attempt number next', async () => {
    const clock = manualClock()
    const store = keptStore({ leaseTime: 30_000 })
    const tries: number[] = []
    const reasons: unknown[] = []
    const job = task('job', { retry: { attempts: 2 } }, async (_: unknown, ctx) => {
      tries.push(ctx.attempt)
      const mine = tries.length
      await ctx.sleep('25s').catch((error: unknown) => reasons.push(error))
      return `value ${mine}`
    })
    const system = await start(job, { clock, broker: store.broker() })
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(job)
    await clock.advance('5s')
    system.pause(job) // so that what was lost is not taken again at once
    store.expire(run.id)
    await clock.advance('5s') // a third of the lease: it is told
    expect(reasons).toEqual([expect.any(LeaseLostError)])
    expect((reasons[0] as Error).message).toBe(
      'job job/job:1 lost its lease after 30s without renewal. Keep the event loop free, or raise lease.',
    )
    expect(seen.all('job.lost')).toMatchObject([{ path: run.path, attempt: 1 }])
    expect(await system.job(run.id)).toMatchObject({ status: 'waiting', value: undefined })
    system.unpause(job)
    await clock.advance('1m')
    expect(await run.settled()).toEqual({ status: 'done', value: 'value 2', attempts: 1 })
    expect(tries).toEqual([1, 1])
    expect(seen.events(run.path)).toEqual([
      'job.added',
      'job.started',
      'job.lost',
      'job.late',
      'job.started',
      'job.done',
    ])
    await system.stop()
  })

  test('J15 a value that comes after the lease was lost, before anybody was told, is not written', async () => {
    const clock = manualClock()
    const store = keptStore()
    let tries = 0
    const job = task('job', async (_: unknown, ctx) => {
      tries += 1
      const mine = tries
      await ctx.sleep('2s')
      return mine
    })
    const system = await start(job, { clock, broker: store.broker() })
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(job)
    await clock.advance('1s')
    system.pause(job)
    store.expire(run.id)
    await clock.advance('1s')
    expect(seen.all('job.lost')).toHaveLength(1)
    expect((await system.job(run.id))?.status).toBe('waiting')
    system.unpause(job)
    await clock.advance('1m')
    expect(await run).toBe(2)
    await system.stop()
  })

  test('J15 the same worker is given the job again before it was told: the old attempt is cut off', async () => {
    const clock = manualClock()
    const store = keptStore()
    const aborted: boolean[] = []
    const job = task('job', async (_: unknown, ctx) => {
      ctx.signal.addEventListener('abort', () => aborted.push(true))
      await ctx.sleep('2s')
      return 'once'
    })
    const system = await start(job, { clock, broker: store.broker() })
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(job)
    await clock.advance('1s')
    store.expire(run.id)
    await clock.advance('5s')
    expect(await run.settled()).toEqual({ status: 'done', value: 'once', attempts: 1 })
    expect(aborted).toEqual([true])
    expect(seen.events(run.path)).toEqual([
      'job.added',
      'job.started',
      'job.lost',
      'job.started',
      'job.late',
      'job.done',
    ])
    expect(system.tree().jobs).toEqual({ running: 0, retrying: 0 })
    await system.stop()
  })

  test('leases are extended at a third of their time, so that long bodies keep them', async () => {
    const clock = manualClock()
    const store = keptStore({ leaseTime: 30_000 })
    const job = task('job', (_: unknown, ctx) => ctx.sleep('1h').then(() => 'over'))
    const system = await start(job, { clock, broker: store.broker() })
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(job)
    await clock.advance('2h')
    expect(await run).toBe('over')
    expect(seen.all('job.lost')).toEqual([])
    await system.stop()
  })

  test('a store that is away is told the outcome again and again until it takes it; the stop waits for that', async () => {
    const clock = manualClock()
    const store = keptStore({ leaseTime: 3_600_000 })
    const job = task('job', { shutdown: '1m' }, () => 'value')
    const system = await start(job, { clock, broker: store.broker() })
    const seen = jobRecorder()
    seen.listen(system)
    store.isAway = true
    const run = system.run(job)
    await clock.advance('2s')
    expect(seen.all('callback.failed')).toMatchObject([{ path: run.path, callback: 'broker.settle' }])
    const stopping = system.stop()
    await clock.advance('10s')
    store.isAway = false
    await clock.advance('10s')
    await stopping
    expect(await run).toBe('value')
  })

  test('two systems on one store: no job twice, a cancel reaches a job the other one holds only while it waits', async () => {
    const clock = manualClock()
    const store = keptStore()
    const tries: string[] = []
    const make = (name: string) =>
      task('job', { concurrency: 2 }, async (n: number, ctx) => {
        tries.push(`${n} by ${name}`)
        await ctx.sleep('1s')
        return n
      })
    const [a, b] = [make('a'), make('b')] as const
    const systems = [
      await start(supervisor('app', [a]), { clock, broker: store.broker() }),
      await start(supervisor('app', [b]), { clock, broker: store.broker() }),
    ] as const
    const runs = Array.from({ length: 8 }, (_, n) => (n % 2 === 0 ? systems[0].run(a, n) : systems[1].run(b, n)))
    runs[7]?.cancel('unwanted')
    await clock.advance('1m')
    expect(new Set(tries.map((line) => line.split(' ')[0])).size).toBe(tries.length)
    expect(tries).toHaveLength(7)
    const statuses = await Promise.all(runs.map(async ({ id }) => (await systems[0].job(id))?.status))
    expect(statuses).toEqual([...Array.from({ length: 7 }, () => 'done'), 'cancelled'])
    await Promise.all(systems.map((system) => system.stop()))
    expect(new Set((await Promise.all(runs.map((run) => run.settled()))).map(({ status }) => status)).size).toBe(2)
  })

  test.each(['at once', 'while it is added', 'while it is leased', 'while it runs', 'while it waits for its retry'])(
    'a cancel %s is carried out',
    async (when) => {
      const clock = manualClock()
      const store = keptStore()
      let open: () => void = () => {}
      const gate = new Promise<void>((resolve) => (open = resolve))
      if (when === 'while it is added') store.gates.enqueue = gate
      if (when === 'while it is leased') store.gates.lease = gate
      const tries: number[] = []
      const job = task('job', { retry: { attempts: 2, backoff } }, async (_: unknown, ctx) => {
        tries.push(ctx.attempt)
        if (when === 'while it waits for its retry') boom()
        await ctx.sleep('1h')
      })
      const system = await start(job, { clock, broker: store.broker() })
      const run = system.run(job)
      if (when.startsWith('while')) await settle()
      run.cancel('enough')
      await settle()
      open()
      expect(await run.settled()).toMatchObject({ status: 'cancelled', reason: 'enough' })
      await clock.advance('3h')
      expect((await system.job(run.id))?.status).toBe('cancelled')
      expect(tries).toHaveLength(when.startsWith('while it is') || when === 'at once' ? 0 : 1)
      expect(system.tree().jobs).toEqual({ running: 0, retrying: 0 })
      expect(system.stats().openRuns).toBe(0)
      await system.stop()
    },
  )

  test('a pause, or a stop, while jobs are being leased: they go back', async () => {
    const clock = manualClock()
    const store = keptStore()
    const tries: number[] = []
    const job = task('job', (n: number) => tries.push(n))
    const system = await start(job, { clock, broker: store.broker() })
    for (const end of ['pause', 'stop']) {
      let open: () => void = () => {}
      store.gates.lease = new Promise<void>((resolve) => (open = resolve))
      const run = system.run(job, 1)
      await settle()
      if (end === 'pause') system.pause(job)
      const stopping = end === 'stop' ? system.stop() : undefined
      await settle()
      open()
      await stopping
      await settle()
      expect(tries).toEqual([])
      expect((await store.broker().job(run.id))?.status).toBe('waiting')
      if (end === 'pause') {
        run.cancel()
        await run.settled()
        system.unpause(job)
      }
    }
  })

  test('a job that another process went on with meanwhile begins anew, where that one left it', async () => {
    const clock = manualClock()
    const store = keptStore()
    const tries: string[] = []
    const make = (name: string) =>
      task('job', { retry: { attempts: 3, backoff } }, (_: unknown, ctx) => {
        tries.push(`${ctx.attempt} by ${name}`)
        if (ctx.attempt < 3) boom()
        return name
      })
    const [a, b] = [make('a'), make('b')]
    const first = await start(supervisor('app', [a]), { clock, broker: store.broker() })
    const run = first.run(a)
    await settle()
    first.pause(a)
    const second = await start(supervisor('app', [b]), { clock, broker: store.broker() })
    await clock.advance('1h')
    second.pause(b)
    first.unpause(a)
    await clock.advance('1h')
    expect(await run.settled()).toEqual({ status: 'done', value: 'a', attempts: 3 })
    expect(tries).toEqual(['1 by a', '2 by b', '3 by a'])
    expect(first.tree().children?.[0]?.jobs).toEqual({ running: 0, retrying: 0 })
    await Promise.all([first.stop(), second.stop()])
  })

  test('a catch that stops the system while it is asked: the outcome is written first', async () => {
    const clock = manualClock()
    const store = keptStore()
    const job = task('job', boom)
    const decide = (): typeof resume => {
      void system.stop()
      return resume
    }
    const system = await start(supervisor('app', { catch: decide }, [job]), { clock, broker: store.broker() })
    const run = system.run(job)
    expect(await run.settled()).toMatchObject({ status: 'failed' })
    await system.done
    expect((await store.broker().job(run.id))?.status).toBe('failed')
  })

  test('never more attempts at once than slots, although the broker answers later', async () => {
    const clock = manualClock()
    const store = keptStore()
    let running = 0
    let most = 0
    const job = task('job', { concurrency: 3 }, async () => {
      most = Math.max(most, (running += 1))
      await settle()
      running -= 1
    })
    const system = await start(job, { clock, broker: store.broker() })
    const runs: PromiseLike<unknown>[] = []
    for (let n = 0; n < 30; n += 1) {
      runs.push(system.run(job))
      await undefined
    }
    await Promise.all(runs)
    expect(most).toBe(3)
    await system.stop()
  })
})
