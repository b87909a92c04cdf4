import { describe, expect, test } from 'vitest'
import { exponential, restart, resume, start, supervisor, task } from 'rootcatch'
import { manualClock, settle } from 'rootcatch/testing'

const boom = (): never => {
  throw new Error('boom')
}
const backoff = exponential({ from: 100, to: 100, jitter: 0 })
const never = new Promise<never>(() => {})

describe('a lane', () => {
  test('runs its jobs one at a time, in the order they came, whatever their priority; other lanes pass', async () => {
    const clock = manualClock()
    const order: string[] = []
    const job = task('job', { lane: (name: string) => name.split(' ')[0] }, async (name: string, ctx) => {
      order.push(`${name} begins at ${clock.now()}`)
      await ctx.sleep(10)
    })
    const system = await start(job, { clock })
    const names = ['a 1', 'a 2', 'b 1', 'a 3', 'b 2']
    const runs = names.map((name, index) => system.run(job, name, { priority: -index }))
    await clock.advance('1m')
    await Promise.all(runs)
    expect(order).toEqual([
      'b 1 begins at 0',
      'a 1 begins at 0',
      'b 2 begins at 10',
      'a 2 begins at 10',
      'a 3 begins at 20',
    ])
    await system.stop()
  })

  test('names that objects have too are lanes like any other', async () => {
    const clock = manualClock()
    let most = 0
    let running = 0
    const job = task('job', { lane: (name: string) => name }, async (_: string, ctx) => {
      most = Math.max(most, (running += 1))
      await ctx.sleep(10)
      running -= 1
    })
    const system = await start(job, { clock })
    const runs = ['__proto__', 'toString', '__proto__', 'constructor', ''].map((name) => system.run(job, name))
    await clock.advance('1m')
    await Promise.all(runs)
    expect(most).toBe(4)
    await system.stop()
  })

  test('undefined is no lane, and the option of the run wins', async () => {
    const job = task('job', { lane: () => undefined, shutdown: 'kill' }, () => never)
    const system = await start(job)
    for (let n = 0; n < 3; n += 1) void system.run(job)
    for (let n = 0; n < 3; n += 1) void system.run(job, undefined, { lane: 'one' })
    await settle()
    expect(system.stats().attempts).toBe(4)
    await system.stop()
  })

  test('stays closed while its head waits for a retry', async () => {
    const clock = manualClock()
    const order: string[] = []
    const job = task('job', { lane: 'one', retry: { attempts: 2, backoff } }, (name: string, ctx) => {
      order.push(`${name} ${ctx.attempt} at ${clock.now()}`)
      if (name === 'head' && ctx.attempt === 1) boom()
    })
    const system = await start(job, { clock })
    const runs = [system.run(job, 'head'), system.run(job, 'next'), system.run(job, 'other', { lane: 'two' })]
    await clock.advance('1m')
    await Promise.all(runs)
    expect(order).toEqual(['head 1 at 0', 'other 1 at 0', 'head 2 at 100', 'next 1 at 100'])
    await system.stop()
  })

  test('stays closed while its head waits for a restart decided above', async () => {
    const clock = manualClock()
    const order: string[] = []
    const job = task('job', { lane: 'one' }, (name: string) => {
      order.push(`${name} at ${clock.now()}`)
      if (order.length === 1) boom()
    })
    const system = await start(supervisor('app', { catch: () => restart, backoff }, [job]), { clock })
    const runs = [system.run(job, 'head'), system.run(job, 'next')]
    await clock.advance('1m')
    await Promise.all(runs)
    expect(order).toEqual(['head at 0', 'head at 100', 'next at 100'])
    await system.stop()
  })

  test.each(['waiting behind', 'the head, running', 'the head, retrying', 'the head, waiting'])(
    'goes on when a job of it is cancelled: %s',
    async (which) => {
      const clock = manualClock()
      const order: string[] = []
      const job = task('job', { lane: 'one', retry: { attempts: 2, backoff } }, async (name: string, ctx) => {
        order.push(name)
        if (name === 'a' && which === 'the head, retrying') boom()
        if (name === 'a') await ctx.sleep('1h')
      })
      const system = await start(job, { clock, catch: () => resume })
      if (which === 'the head, waiting') system.pause(job)
      const [a, b, c] = [system.run(job, 'a'), system.run(job, 'b'), system.run(job, 'c')]
      await settle()
      if (which === 'waiting behind') b.cancel()
      else a.cancel()
      system.unpause(job)
      await clock.advance('2h')
      await c
      const ran = {
        'waiting behind': ['a', 'c'],
        'the head, running': ['a', 'b', 'c'],
        'the head, retrying': ['a', 'b', 'c'],
        'the head, waiting': ['b', 'c'],
      }
      expect(order).toEqual(ran[which as keyof typeof ran])
      await system.stop()
      expect(clock.pending).toBe(0)
    },
  )

  test('keeps its order when its head is cut off and released', async () => {
    const clock = manualClock()
    const order: string[] = []
    const job = task('job', { lane: 'one', shutdown: 'kill' }, async (name: string, ctx) => {
      order.push(name)
      if (order.length === 1) await ctx.sleep('1h')
    })
    const system = await start(supervisor('app', [job]), { clock })
    const runs = [system.run(job, 'a'), system.run(job, 'b')]
    await settle()
    await system.supervisor('app').stopChild('job')
    await system.supervisor('app').restartChild('job')
    await Promise.all(runs)
    expect(order).toEqual(['a', 'a', 'b'])
    await system.stop()
  })
})
