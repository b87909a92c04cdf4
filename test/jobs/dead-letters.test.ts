import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { PermanentError, restart, resume, start, supervisor, task, UnknownJobError } from 'rootcatch'
import { manualClock } from 'rootcatch/testing'
import { jobRecorder } from '../support/job-recorder.ts'

const boom = (): never => {
  throw new Error('boom')
}

describe('dead letters', () => {
  test('are every job that ended failed, newest first, by filters', async () => {
    const clock = manualClock(1_000)
    const a = task('a', boom)
    const b = task('b', { timeout: 10 }, () => new Promise<never>(() => {}))
    const c = task('c', { fallback: () => 1 }, boom)
    const system = await start(supervisor('app', { catch: () => resume }, [a, b, c]), { clock })
    await system.run(a).settled()
    const b1 = system.run(b)
    await clock.advance('1s')
    await b1.settled()
    await system.run(a).settled()
    await system.run(c).settled()
    const ids = async (filter?: Parameters<typeof system.dead.list>[0]): Promise<string[]> =>
      (await system.dead.list(filter)).map(({ id }) => id)
    expect(await ids()).toEqual(['3', '2', '1'])
    expect(await ids({ task: 'app/a' })).toEqual(['3', '1'])
    expect(await ids({ kind: 'timeout' })).toEqual(['2'])
    expect(await ids({ since: 2_000 })).toEqual(['3'])
    expect(await ids({ limit: 1 })).toEqual(['3'])
    expect(await ids({ task: 'app/a', kind: 'thrown', since: 0, limit: 5 })).toEqual(['3', '1'])
    await expect(system.dead.list({ tasks: 'app/a' } as never)).rejects.toThrow('Did you mean "task"?')
    await system.stop()
  })

  test('are listed page by page, however many die or leave in between', async () => {
    const job = task('job', boom)
    const system = await start(job, { catch: () => resume })
    const die = async (count: number): Promise<void> => {
      for (let index = 0; index < count; index += 1) await system.run(job).settled()
    }
    await die(7)
    const first = await system.dead.list({ limit: 3 })
    expect(first.map(({ id }) => id)).toEqual(['7', '6', '5'])
    await die(2)
    await system.dead.discard('5') // the last of the first page
    await system.dead.discard('3')
    const second = await system.dead.list({ limit: 2 }, first.at(-1)?.cursor)
    expect(second.map(({ id }) => id)).toEqual(['4', '2'])
    const third = await system.dead.list({ limit: 2 }, second.at(-1)?.cursor)
    expect(third.map(({ id }) => id)).toEqual(['1'])
    expect(await system.dead.list({}, third.at(-1)?.cursor)).toEqual([])
    await system.stop()
  })

  test.each([
    [{ kind: 'timeuot' }, undefined, `dead.list() got kind "timeuot" (string). Use 'thrown', 'timeout'`],
    [{ limit: 0 }, undefined, 'dead.list() got limit 0 (number). Use a whole number from 1.'],
    [{ limit: 1.5 }, undefined, 'dead.list() got limit 1.5 (number).'],
    [{ since: Number.NaN }, undefined, 'dead.list() got since NaN (number). Give milliseconds since 1970'],
    [{ since: new Date(0) }, undefined, 'dead.list() got since'],
    [{ task: 7 }, undefined, 'dead.list() got task 7 (number). Give the path of a task'],
    [{}, 7, 'dead.list() got cursor 7 (number). Pass the cursor of a letter that list() gave.'],
    [{}, 'x', 'dead.list() got cursor "x" (string). Pass the cursor of a letter that list() gave.'],
  ])('a filter %o with cursor %o is refused', async (filter, cursor, sentence) => {
    await using system = await start(task('job', boom))
    await expect(system.dead.list(filter as never, cursor as never)).rejects.toThrow(sentence)
  })

  test('are announced once, after job.failed, and only when all is spent', async () => {
    let decided = 0
    const job = task('job', { retry: { attempts: 2 } }, boom)
    const root = supervisor('app', { catch: () => (decided++ === 0 ? restart : resume) }, [job])
    const system = await start(root)
    const heard = jobRecorder()
    heard.listen(system)
    const run = system.run(job)
    const { failure } = await run.settled()
    expect(heard.events(run.path).slice(-2)).toEqual(['job.failed', 'dead.added'])
    expect(heard.all('dead.added')).toMatchObject([{ path: run.path, id: run.id, attempt: 2 }])
    expect(heard.all('dead.added')[0]?.failure).toBe(failure)
    await system.stop()
  })

  test('show what happened', async () => {
    const clock = manualClock(5_000)
    const job = task('job', { retry: { attempts: 2 } }, (_: { n: number }, ctx) => {
      throw new PermanentError(`try ${ctx.attempt}`, { cause: 'why' })
    })
    const system = await start(job, { clock, catch: () => resume })
    const run = system.run(job, { n: 1 })
    await run.settled()
    const letter = await system.dead.show(run.id)
    expect(letter).toEqual({
      id: '1',
      path: 'job/job:1',
      task: 'job',
      kind: 'thrown',
      message: 'job/job:1 failed after 1 attempt in 0ms: try 1',
      attempts: 1,
      diedAt: 5_000,
      cursor: '1',
      input: { n: 1 },
      failure: (await run.settled()).failure?.toJSON(),
      history: [{ generation: 1, attempt: 1, at: 5_000, kind: 'thrown', message: 'try 1' }],
    })
    expect(await system.dead.show('2')).toBeUndefined()
    await system.stop()
  })

  test('replay keeps id and idempotency key, and starts at attempt 1, with history', async () => {
    let works = false
    const seen: unknown[] = []
    const job = task('job', { retry: { attempts: 2 } }, (input: number, ctx) => {
      seen.push([ctx.id, ctx.idempotencyKey, ctx.attempt, input])
      return works ? input : boom()
    })
    const system = await start(supervisor('app', { catch: () => resume }, [job]))
    const heard = jobRecorder()
    heard.listen(system)
    const run = system.run(job, 1)
    await run.settled()
    works = true
    const { run: again } = await system.dead.replay(run.id)
    expect(await again.queued()).toEqual({ id: run.id, duplicate: false })
    expect(await again).toBe(1)
    expect(seen).toEqual([1, 2, 1].map((attempt) => ['1', 'app/job/job:1', attempt, 1]))
    expect(heard.events(run.path).slice(-3)).toEqual(['job.added', 'job.started', 'job.done'])
    expect((await run.settled()).status).toBe('failed') // the first run keeps what it was told
    expect(await system.dead.list()).toEqual([])
    expect(await system.job(run.id)).toMatchObject({ status: 'done', generation: 2, history: [{}, {}] })
    await system.stop()
  })

  test('replay with another input, which has to fit', async () => {
    const job = task('job', { input: z.object({ n: z.number() }) }, ({ n }) => (n > 1 ? n : boom()))
    const system = await start(job, { catch: () => resume })
    const run = system.run(job, { n: 1 })
    await run.settled()
    await expect(system.dead.replay(run.id, { input: { n: 'x' } })).rejects.toMatchObject({ code: 'input' })
    await expect(system.dead.replay(run.id, { inputs: 1 } as never)).rejects.toThrow('Did you mean "input"?')
    expect(await system.dead.list()).toHaveLength(1)
    const { run: again } = await system.dead.replay(run.id, { input: { n: 2 } })
    expect(await again).toBe(2)
    await system.stop()
  })

  test('of two replays at once the second is told, and the first goes on', async () => {
    let works = false
    const job = task('job', () => (works ? 'done' : boom()))
    const system = await start(job, { catch: () => resume })
    const run = system.run(job)
    await run.settled()
    works = true
    const first = system.dead.replay(run.id)
    await expect(system.dead.replay(run.id)).rejects.toBeInstanceOf(UnknownJobError)
    expect(await (await first).run).toBe('done')
    await expect(system.dead.replay('77')).rejects.toThrow('there is no dead letter "77" of a task in this system.')
    await system.stop()
  })

  test('a replay that fails again is a dead letter again', async () => {
    const job = task('job', boom)
    const system = await start(job, { catch: () => resume })
    const run = system.run(job)
    await run.settled()
    const { run: again } = await system.dead.replay(run.id)
    expect(await again.settled()).toMatchObject({ status: 'failed', attempts: 1 })
    expect(await system.dead.list()).toMatchObject([{ id: '1', history: [{ generation: 1 }, { generation: 2 }] }])
    expect(await system.queues()).toMatchObject([{ dead: 1 }])
    await system.stop()
  })

  test('discard forgets one, and says whether it was there', async () => {
    const job = task('job', boom)
    const system = await start(job, { catch: () => resume })
    const run = system.run(job)
    await run.settled()
    expect(await system.dead.discard(run.id)).toBe(true)
    expect(await system.dead.discard(run.id)).toBe(false)
    expect(await system.job(run.id)).toBeUndefined()
    expect(await system.queues()).toMatchObject([{ dead: 0 }])
    await system.stop()
  })

  test('memory keeps the last 1 000', async () => {
    const job = task('job', { concurrency: 100 }, boom)
    const system = await start(job, { catch: () => resume })
    const runs = Array.from({ length: 1_005 }, () => system.run(job))
    await Promise.all(runs.map((run) => run.settled()))
    const all = await system.dead.list({ limit: 2_000 })
    expect(all).toHaveLength(1_000)
    expect(all.at(-1)?.id).toBe('6')
    expect(await system.dead.list()).toHaveLength(100)
    expect(await system.queues()).toMatchObject([{ dead: 1_000 }])
    await system.stop()
  })
})
