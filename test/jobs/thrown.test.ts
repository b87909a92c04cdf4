import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { Failure, PermanentError, restart, resume, start, task } from 'rootcatch'
import { hostileValues } from '../support/hostile.ts'
import { failOnUnhandled } from '../support/unhandled.ts'

failOnUnhandled()

describe('anything may be thrown', () => {
  test.each(hostileValues)('%s, from a body', async (_, make) => {
    const thrown = make()
    const root = task('root', { retry: { attempts: 2, when: () => true } }, () => {
      throw thrown
    })
    const system = await start(root, { catch: () => resume })
    const run = system.run(root)
    const outcome = await run.settled()
    expect(outcome.status).toBe('failed')
    expect(Object.is(outcome.failure?.error, thrown)).toBe(true)
    expect(() => JSON.parse(JSON.stringify(outcome.failure))).not.toThrow()
    for (const text of [outcome.failure?.report(), String(outcome.failure), inspect(outcome.failure)]) {
      expect(typeof text).toBe('string')
    }
    const rejection = await run.then(
      () => 'looked successful',
      (error: unknown) => error,
    )
    expect(rejection).toBe(outcome.failure)
    const letter = await system.dead.show(run.id)
    expect(() => JSON.stringify(letter)).not.toThrow()
    await system.stop()
  })

  test.each(hostileValues)('%s, as the rejection of a body', async (_, make) => {
    const thrown = make()
    const root = task('root', () => Promise.reject(thrown))
    const system = await start(root, { catch: () => resume })
    const { failure } = await system.run(root).settled()
    expect(failure).toBeInstanceOf(Failure)
    expect(Object.is(failure?.error, thrown)).toBe(true)
    await system.stop()
  })

  test.each(hostileValues)('%s, from a fallback', async (_, make) => {
    const thrown = make()
    const root = task(
      'root',
      {
        fallback: () => {
          throw thrown
        },
      },
      () => {
        throw new PermanentError('first')
      },
    )
    const system = await start(root, { catch: () => resume })
    const { status, failure } = await system.run(root).settled()
    expect(status).toBe('failed')
    expect(Object.is(failure?.error, thrown)).toBe(true)
    expect(failure?.cause).toMatchObject({ error: { message: 'first' } })
    expect(failure?.report()).toMatch(/first|further causes are left out/)
    await system.stop()
  })

  test.each(hostileValues)('%s, as a value', async (_, make) => {
    const value = make()
    const root = task('root', { timeout: 20 }, () => value) // a thenable may never call back
    const system = await start(root, { catch: () => resume })
    const outcome = await system.run(root).settled()
    expect(['done', 'failed']).toContain(outcome.status)
    expect(() => JSON.stringify(outcome)).not.toThrow()
    await system.stop()
  })

  test.each(hostileValues)('%s, from a catch', async (_, make) => {
    const root = task('root', () => {
      throw new Error('first')
    })
    const system = await start(root, {
      catch: () => {
        throw make()
      },
    })
    const { status } = await system.run(root).settled()
    expect(['failed', 'cancelled']).toContain(status)
    await expect(system.done).rejects.toMatchObject({ error: { message: 'first' } })
  })

  test('a restart after a hostile throw begins anew', async () => {
    const make = hostileValues.find(([name]) => name === 'a proxy that throws on everything')?.[1]
    let tries = 0
    const root = task('root', () => {
      tries += 1
      if (tries === 1) throw make?.()
      return tries
    })
    const system = await start(root, { catch: () => restart })
    expect(await system.run(root)).toBe(2)
    await system.stop()
  })
})
