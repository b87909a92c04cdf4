import { describe, expect, test } from 'vitest'
import {
  escalate,
  exponential,
  restart,
  resume,
  start,
  stop,
  supervisor,
  task,
  type Decision,
  type Failure,
  type RootDecision,
} from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'
import { jobRecorder } from '../support/job-recorder.ts'

const boom = (): never => {
  throw new Error('boom')
}

describe('J9 decisions from above, each row of §9', () => {
  type Row = readonly [
    name: string,
    decisions: readonly Decision[],
    states: readonly string[],
    outcome: object,
    events: readonly string[],
    dead: number,
  ]
  const begin = ['job.added', 'job.started', 'failure.decided']
  const failed = { status: 'failed', attempts: 1, failure: { kind: 'thrown' } }
  const rows: readonly Row[] = [
    ['resume', [resume], ['running', 'failed'], failed, [...begin, 'job.failed', 'dead.added'], 1],
    ['stop', [stop], ['running', 'failed'], failed, [...begin, 'job.failed', 'dead.added'], 1],
    [
      'resume(value)',
      [resume({ from: 'above' })],
      ['running', 'failed'],
      { status: 'fallback', value: { from: 'above' }, attempts: 1, failure: { kind: 'thrown' } },
      [...begin, 'job.fellBack'],
      0,
    ],
    [
      'resume(undefined)',
      [resume(undefined)],
      ['running', 'failed'],
      { status: 'fallback', value: undefined, attempts: 1 },
      [...begin, 'job.fellBack'],
      0,
    ],
    [
      'restart',
      [restart, resume],
      ['running', 'failed', 'running', 'failed'],
      failed,
      [...begin, 'job.restarted', 'job.started', 'failure.decided', 'job.failed', 'dead.added'],
      1,
    ],
  ]

  test.each(rows)('J9 %s', async (_, decisions, states, outcome, events, dead) => {
    const waiting = [...decisions]
    const job = task('job', boom)
    const seen = jobRecorder()
    const system = await start(supervisor('app', { catch: () => waiting.shift() ?? resume }, [job]), {
      inspect: seen.inspect,
    })
    seen.listen(system)
    const run = system.run(job)
    expect(await run.settled()).toMatchObject(outcome)
    expect(seen.states(run.path)).toEqual(states)
    expect(seen.events(run.path)).toEqual(events)
    expect(await system.dead.list()).toHaveLength(dead)
    expect(system.isStopped).toBe(false)
    await system.stop()
  })

  test('J9 escalate: asked again one level up, no event until one decides', async () => {
    const job = task('job', boom)
    const asked: string[] = []
    const ask =
      (name: string, decision: Decision) =>
      (failure: Failure): Decision => {
        asked.push(`${name} after ${failure.trail.length}`)
        return decision
      }
    const inner = supervisor('inner', { catch: ask('inner', escalate) }, [job])
    const system = await start(supervisor('outer', { catch: ask('outer', resume) }, [inner]))
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(job)
    const { failure } = await run.settled()
    expect(asked).toEqual(['inner after 0', 'outer after 1'])
    expect(failure?.trail).toEqual([
      { path: 'outer/inner', decision: 'escalate', by: 'catch' },
      { path: 'outer', decision: 'resume', by: 'catch' },
    ])
    expect(seen.events(run.path)).toEqual(['job.added', 'job.started', 'failure.decided', 'job.failed', 'dead.added'])
    await system.stop()
  })
})

describe('a restart', () => {
  test('is a new incarnation: attempt 1, the same id, path and idempotency key, all charges forgotten', async () => {
    const seen: unknown[] = []
    const job = task('job', { retry: { attempts: 2 } }, (_: unknown, ctx) => {
      seen.push([ctx.id, ctx.path, ctx.idempotencyKey, ctx.attempt])
      if (seen.length < 4) boom()
      return 'fourth'
    })
    const system = await start(supervisor('app', { catch: () => restart }, [job]))
    const run = system.run(job)
    expect(await run.settled()).toEqual({ status: 'done', value: 'fourth', attempts: 2 })
    expect(seen).toEqual([1, 2, 1, 2].map((attempt) => [run.id, run.path, run.path, attempt]))
    expect(await system.job(run.id)).toMatchObject({ generation: 2, attempts: 2 })
    await system.stop()
  })

  test('comes after the backoff of the supervisor, without a slot', async () => {
    const clock = manualClock()
    const times: number[] = []
    const job = task('job', { concurrency: 1 }, (kind: string) => {
      times.push(clock.now())
      if (kind === 'bad' && times.length < 4) boom()
      return kind
    })
    const backoff = exponential({ from: 100, to: '1m', jitter: 0 })
    const system = await start(
      supervisor('app', { catch: () => restart, backoff, restarts: { limit: 5, within: 1 } }, [job]),
      {
        clock,
      },
    )
    const bad = system.run(job, 'bad')
    const good = system.run(job, 'good')
    await settle()
    expect(await good).toBe('good') // beside the one that waits
    await clock.advance('1m')
    expect(await bad).toBe('bad')
    expect(times).toEqual([0, 0, 100, 300])
    await system.stop()
  })

  test('is carried out restarts.limit times per job and supervisor, then it climbs', async () => {
    let tries = 0
    const job = task('job', () => {
      tries += 1
      boom()
    })
    const inner = supervisor('inner', { catch: () => restart, restarts: { limit: 2, within: 1 } }, [job])
    const outer = supervisor('outer', { catch: () => restart, restarts: { limit: 1, within: 1 } }, [inner])
    const system = await start(outer, { catch: () => resume })
    const run = system.run(job)
    const { failure } = await run.settled()
    expect(tries).toBe(4) // once, twice by inner, once by outer; what was counted is never forgotten
    expect(failure?.trail.map(({ path, decision, by, asked }) => [path, decision, by, asked])).toEqual([
      ['outer/inner', 'escalate', 'limit', 'restart'],
      ['outer', 'escalate', 'limit', 'restart'],
      ['', 'resume', 'catch', undefined],
    ])
    expect(await system.run(job).settled()).toMatchObject({ status: 'failed' }) // the supervisors are unharmed
    await system.stop()
  })

  test('works under supervisors with names that objects have too', async () => {
    let tries = 0
    const job = task('job', () => {
      tries += 1
      boom()
    })
    const inner = supervisor('__proto__', { catch: () => restart, restarts: { limit: 1, within: 1 } }, [job])
    const system = await start(
      supervisor('constructor', { catch: () => restart, restarts: { limit: 1, within: 1 } }, [inner]),
      {
        catch: () => resume,
      },
    )
    await system.run(job).settled()
    expect(tries).toBe(3)
    await system.stop()
  })

  test('of the root catch is carried out three times, then it resumes', async () => {
    let tries = 0
    const root = task('root', () => {
      tries += 1
      boom()
    })
    const system = await start(root, { catch: () => restart })
    const { failure } = await system.run(root).settled()
    expect(tries).toBe(4)
    expect(failure?.trail.at(-1)).toMatchObject({ path: '', decision: 'resume', by: 'limit', asked: 'restart' })
    await system.stop()
  })
})

describe('a catch', () => {
  test('at the root that stops, stops the system; the run is failed, system.done rejects with the failure', async () => {
    const root = task('root', boom)
    const system = await start(root, { catch: () => stop })
    const run = system.run(root)
    const { status, failure } = await run.settled()
    expect(status).toBe('failed')
    await expect(system.done).rejects.toBe(failure)
    expect(system.isStopped).toBe(true)
  })

  test('that stops the system itself while it is asked: the job is settled, nothing hangs', async () => {
    const job = task('job', boom)
    let stopped: Promise<void> | undefined
    const decide = (): Decision => {
      stopped = system.stop()
      return resume
    }
    const system = await start(supervisor('app', { catch: decide }, [job]))
    const run = system.run(job)
    expect(await run.settled()).toMatchObject({ status: 'failed' })
    await stopped
    await system.done
  })

  test('that gives a value JSON cannot keep is reported, and the job stays failed', async () => {
    const job = task('job', boom)
    const system = await start(supervisor('app', { catch: () => resume(new Date(0)) }, [job]))
    const seen = jobRecorder()
    seen.listen(system)
    const run = system.run(job)
    expect(await run.settled()).toMatchObject({ status: 'failed' })
    expect(seen.all('callback.failed')).toMatchObject([{ path: run.path, callback: 'catch' }])
    expect(await system.dead.list()).toHaveLength(1)
    await system.stop()
  })

  test('is not asked for jobs that fell back, were answered or cancelled', async () => {
    const asked: Failure[] = []
    const root = task('root', { fallback: () => 1 }, boom)
    const decide = (failure: Failure): RootDecision => {
      asked.push(failure)
      return resume
    }
    const system = await start(root, { catch: decide })
    await system.run(root)
    expect(asked).toEqual([])
    await system.stop()
  })

  test('that cancels the run of the failure it is asked about changes nothing', async () => {
    const job = task('job', boom)
    const decide = (): Decision => {
      run.cancel('instead')
      return resume
    }
    const system = await start(supervisor('app', { catch: decide }, [job]))
    const run = system.run(job)
    expect(await run.settled()).toMatchObject({ status: 'failed' })
    await system.stop()
  })
})
