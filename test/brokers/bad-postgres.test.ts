import { setTimeout as sleep } from 'node:timers/promises'
import { BrokerError, resume, start, supervisor, task, type System } from 'rootcatch'
import { postgres, type PostgresOptions } from 'rootcatch/postgres'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { SCHEMA } from '../../src/brokers/postgres-tables.ts'
import { ownPostgres, type OwnPostgres } from '../support/own-postgres.ts'
import { postgresMissing } from '../support/postgres.ts'

const double = task('double', async (n: number, ctx) => {
  if (n < 0) await ctx.sleep(-n)
  return n * 2
})

describe.skipIf(postgresMissing)(
  `a Postgres that${postgresMissing === undefined ? '' : `: ${postgresMissing}`}`,
  () => {
    let server: OwnPostgres
    let stores = 0
    const open: System[] = []

    beforeAll(async () => {
      server = await ownPostgres()
    }, 60_000)
    afterAll(() => server.remove(), 60_000)
    beforeEach(async () => {
      stores += 1
      await server.start()
    }, 60_000)
    afterEach(async () => {
      for (const system of open.splice(0)) await system.stop({ within: '1s' })
    }, 60_000)

    const log = { info() {}, warn() {}, error() {}, debug() {} }

    async function join(connection: PostgresOptions['connection'] = server.url): Promise<System> {
      const broker = postgres({ connection, schema: `store_${stores}`, lease: '3s' })
      const system = await start(supervisor('app', [double]), { broker, catch: () => resume, log })
      open.push(system)
      return system
    }

    const refused = async (connection?: PostgresOptions['connection']): Promise<BrokerError> => {
      const error: unknown = await join(connection).then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      expect(error).toBeInstanceOf(BrokerError)
      return error as BrokerError
    }

    test('is down at the start is named at once, and the same broker opens when it is there', async () => {
      await server.kill()
      const startedAt = performance.now()
      const error = await refused()
      expect(performance.now() - startedAt).toBeLessThan(2_000)
      expect(error.code).toBe('away')
      expect(error.message).toMatch(
        /^Postgres at 127\.0\.0\.1:\d+\/postgres is away: connect ECONNREFUSED .+ bring it back\.$/,
      )
      const broker = postgres({ connection: server.url, schema: `store_${stores}` })
      await expect(async () => broker.open(systemClock)).rejects.toMatchObject({ code: 'away' })
      await server.start()
      await broker.open(systemClock)
      await broker.close()
    })

    test('wants a password says so, without telling the one that was wrong', async () => {
      await server.ask(`CREATE ROLE worker LOGIN PASSWORD 'hunter2'; GRANT CREATE ON DATABASE postgres TO worker`)
      const as = (password: string): string => `postgres://worker:${password}@127.0.0.1:${server.port}/postgres`
      expect(await refused(as('hunter3'))).toMatchObject({
        code: 'denied',
        message: expect.stringMatching(/does not let us in: password .+ Correct user and password of connection\.$/),
      })
      expect(String(await refused(as('hunter3')))).not.toContain('hunter')
      expect((await refused({ host: '127.0.0.1', port: server.port, user: 'worker', database: 'postgres' })).code).toBe(
        'denied',
      )
      const system = await join(as('hunter2'))
      expect(await system.run(double, 21)).toBe(42)
    })

    test('has no such database, or no right to a schema, says which', async () => {
      expect((await refused(`postgres://postgres@127.0.0.1:${server.port}/none`)).message).toMatch(
        /has no such database: database "none" does not exist. Create it, or correct connection\.$/,
      )
      await server.ask(`CREATE ROLE guest LOGIN PASSWORD 'x'`)
      expect(await refused(`postgres://guest:x@127.0.0.1:${server.port}/postgres`)).toMatchObject({
        code: 'denied',
        message: expect.stringContaining(`does not let us use schema "store_${stores}"`),
      })
    })

    test('has a store already needs no right to make one', async () => {
      await (await join()).stop()
      const schema = `store_${stores}`
      await server.ask(`CREATE ROLE user_of_store LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA ${schema} TO user_of_store;
      GRANT ALL ON ALL TABLES IN SCHEMA ${schema} TO user_of_store; GRANT ALL ON ALL SEQUENCES IN SCHEMA ${schema} TO user_of_store`)
      const system = await join(`postgres://user_of_store:x@127.0.0.1:${server.port}/postgres`)
      expect(await system.run(double, 4)).toBe(8)
    })

    test('takes no writes is refused at the start, and said in the middle; jobs go on when it does', async () => {
      const system = await join()
      expect(await system.run(double, 1)).toBe(2)
      await server.ask(`ALTER SYSTEM SET default_transaction_read_only = on`)
      await server.ask('SELECT pg_reload_conf()')
      await expect.poll(() => server.ask('SHOW default_transaction_read_only')).toEqual([['on']])
      expect((await refused()).code).toBe('read-only')
      await expect(system.run(double, 2)).rejects.toMatchObject({ code: 'read-only' })
      await server.ask('ALTER SYSTEM RESET default_transaction_read_only')
      await server.ask('SELECT pg_reload_conf()')
      await expect.poll(() => server.ask('SHOW default_transaction_read_only')).toEqual([['off']])
      await expect.poll(() => system.run(double, 3).settled()).toMatchObject({ value: 6 })
    })

    test('holds something else in that schema is left as it is', async () => {
      await server.ask(`CREATE SCHEMA store_${stores}; CREATE TABLE store_${stores}.store (version text)`)
      expect(await refused()).toMatchObject({
        code: 'store-foreign',
        message: expect.stringMatching(/holds tables of something else; nothing was changed. Give another schema\.$/),
      })
      expect(
        await server.ask(`SELECT count(*)::int FROM pg_class WHERE relnamespace = 'store_${stores}'::regnamespace`),
      ).toEqual([['1']])
    })

    test('was written by a newer rootcatch says so', async () => {
      await (await join()).stop()
      await server.ask(`UPDATE store_${stores}.store SET version = ${SCHEMA + 1}`)
      expect(await refused()).toMatchObject({
        code: 'store-newer',
        message: expect.stringContaining(`newer rootcatch (schema ${SCHEMA + 1}, this one knows ${SCHEMA})`),
      })
    })

    test('keeps not every text is refused', async () => {
      await server.ask(`CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0`)
      expect((await refused(`postgres://postgres@127.0.0.1:${server.port}/latin`)).code).toBe('unsupported')
    })

    test('goes in the middle: who asks fails fast, what was done is told when it is back, nothing is done twice', async () => {
      const system = await join()
      const lost: unknown[] = []
      system.on('job.lost', (event) => lost.push(event))
      const run = system.run(double, -300)
      await expect.poll(() => system.stats().attempts).toBe(1)
      await server.kill()
      const startedAt = performance.now()
      await expect(system.run(double, 1)).rejects.toMatchObject({ code: 'away' })
      expect(performance.now() - startedAt).toBeLessThan(2_500)
      await sleep(300)
      await server.start()
      expect(await run).toBe(-600)
      await expect.poll(() => system.run(double, 2).settled(), { timeout: 5_000 }).toMatchObject({ value: 4 })
      expect(lost).toEqual([])
      expect((await system.job(run.id))?.attempts).toBe(1)
    })

    test('ends our connections is connected to again, and says what was said meanwhile', async () => {
      const [asking, working] = [await join(), await join()]
      asking.pause(double)
      expect(await asking.run(double, 1)).toBe(2)
      const meanwhile = asking.run(double, -400)
      await expect.poll(() => working.stats().attempts).toBe(1)
      await server.ask(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'rootcatch%'`,
      )
      expect(await meanwhile).toBe(-800)
      expect(await asking.run(double, 3)).toBe(6)
    })

    test('lost the store says so', async () => {
      const system = await join()
      await server.ask(`DROP SCHEMA store_${stores} CASCADE`)
      await expect(system.run(double, 1)).rejects.toMatchObject({
        code: 'away',
        message: expect.stringContaining('any more'),
      })
    })

    test('is away does not hold up a stop', async () => {
      const system = await join()
      await server.kill()
      const startedAt = performance.now()
      await system.stop({ within: '1s' })
      expect(performance.now() - startedAt).toBeLessThan(5_000)
    })
  },
)
