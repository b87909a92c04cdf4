import { describe, expect, test } from 'vitest'
import { plugin, restart, resume, start, supervisor, task, type AnyEvent } from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'
import { jobRecorder } from '../support/job-recorder.ts'

const boom = (): never => {
  throw new Error('boom')
}

describe('events of a job', () => {
  test('come in order, each with path, id, at and attempt', async () => {
    const clock = manualClock(1_000)
    let restarts = 0
    const rescue = plugin('rescue', { pluginError: ({ run }) => (run.attempt === 2 ? 'rescued' : undefined) })
    const job = task('job', { retry: { attempts: 2 }, plugins: [rescue] }, (_: unknown, ctx) => {
      if (restarts === 0) boom()
      return ctx.pluginError()
    })
    const decide = (): typeof restart => {
      restarts += 1
      return restart
    }
    const system = await start(supervisor('app', { catch: decide }, [job]), { clock })
    const events: AnyEvent[] = []
    system.on('*', (event) => events.push(event))
    const run = system.run(job)
    await run
    expect(events.map((event) => [event.type, 'attempt' in event ? event.attempt : undefined])).toEqual([
      ['job.added', 0],
      ['job.started', 1],
      ['job.retrying', 1],
      ['job.started', 2],
      ['failure.decided', undefined],
      ['job.restarted', 0],
      ['job.started', 1],
      ['job.retrying', 1],
      ['job.started', 2],
      ['job.answered', 2],
      ['job.done', 2],
    ])
    const ofJob = events.filter(({ type }) => type.startsWith('job.'))
    for (const event of ofJob) expect(event).toMatchObject({ path: run.path, id: run.id, at: 1_000 })
    expect(ofJob.find(({ type }) => type === 'job.restarted')).toMatchObject({ generation: 2 })
    await system.stop()
  })

  test('the outcome is told after the broker took it and before await run goes on', async () => {
    const root = task('root', () => 1)
    const system = await start(root)
    const order: string[] = []
    system.on('job.done', ({ id }) => {
      order.push('event')
      void system.job(id).then((record) => order.push(`record ${record?.status}`))
    })
    await system.run(root).then(() => order.push('run'))
    await settle()
    expect(order[0]).toBe('event')
    expect(order).toContain('run')
    expect(order).toContain('record done')
    await system.stop()
  })

  test('a listener that throws or rejects is reported; the other listeners and the job do not notice', async () => {
    const root = task('root', () => 1)
    const system = await start(root)
    const heard: string[] = []
    const seen = jobRecorder()
    system.on('job.started', boom)
    system.on('job.done', async () => boom())
    system.on('job.done', () => heard.push('done'))
    seen.listen(system)
    system.on('callback.failed', boom)
    const run = system.run(root)
    expect(await run).toBe(1)
    await settle()
    expect(heard).toEqual(['done'])
    expect(seen.all('callback.failed')).toMatchObject([
      { path: run.path, callback: 'listener of job.started' },
      { path: run.path, callback: 'listener of job.done' },
    ])
    await system.stop()
  })

  test('an observer that throws harms nobody, and is not called again after the third time', async () => {
    let calls = 0
    const root = task('root', { retry: { attempts: 3 } }, boom)
    const inspect = (): never => {
      calls += 1
      return boom()
    }
    const system = await start(root, { catch: () => resume, inspect })
    expect(await system.run(root).settled()).toMatchObject({ status: 'failed', attempts: 3 })
    expect(calls).toBe(3)
    await system.stop()
  })

  test('ctx.log is an event and a line of the given logger, whose throw harms nobody', async () => {
    const lines: unknown[] = []
    const write = (data: object, message: string): void => {
      lines.push([data, message])
      boom()
    }
    const log = { debug: write, info: write, warn: write, error: write }
    const root = task('root', (_: unknown, ctx) => {
      ctx.log.info('hello', { n: 1 })
      ctx.log.error('bare')
    })
    const system = await start(root, { log })
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(root)
    await run
    expect(lines).toEqual([
      [{ path: run.path, id: run.id, attempt: 1, n: 1 }, 'hello'],
      [{ path: run.path, id: run.id, attempt: 1 }, 'bare'],
    ])
    expect(seen.all('job.log')).toMatchObject([
      { path: run.path, attempt: 1, level: 'info', message: 'hello', data: { n: 1 } },
      { level: 'error', message: 'bare' },
    ])
    expect(seen.all('callback.failed').map(({ callback }) => callback)).toEqual(['log.info', 'log.error'])
    await system.stop()
  })

  test('stats count what the events tell', async () => {
    const clock = manualClock()
    const job = task(
      'job',
      { retry: { attempts: 2 }, fallback: (kind: string) => (kind === 'fallback' ? 1 : boom()) },
      (kind: string) => (kind === 'done' ? 1 : boom()),
    )
    const system = await start(supervisor('app', { catch: () => resume }, [job]), { clock })
    for (const kind of ['done', 'fallback', 'failed']) await system.run(job, kind).settled()
    const cancelled = system.run(job, 'done', { delay: '1h' })
    const open = system.run(job, 'done', { delay: '1h' })
    cancelled.cancel()
    await settle()
    const stats = system.stats()
    expect(stats.jobs).toEqual({
      added: 5,
      started: 5,
      retried: 2,
      restarted: 0,
      done: 1,
      fellBack: 1,
      failed: 1,
      cancelled: 1,
      late: 0,
    })
    expect(stats).toMatchObject({
      openRuns: 1,
      attempts: 0,
      running: 1,
      failures: { resume: 1, restart: 0, stop: 0 },
    })
    expect(await system.queues()).toEqual([
      { queue: 'app/job', waiting: 0, delayed: 1, leased: 0, dead: 1, oldest: undefined },
    ])
    expect(open.id).toBe('5')
    await system.stop()
  })
})
