import { expect, test } from 'vitest'
import { bullmq } from '../../src/brokers/bullmq.ts'
import { postgres } from '../../src/brokers/postgres.ts'

test.each([
  ['a URL', 'postgres://app:hunter2@db.example/app'],
  ['a URL with the longer name', 'PostgreSQL://app:hunter2@db.example/app'],
  ['options of pg', { connectionString: 'postgres://app:hunter2@db.example/app' }],
])('bullmq() refuses Postgres before anything is opened, by %s, and the password is in no text', (_, connection) => {
  const open = (): unknown => bullmq({ connection: connection as string })
  expect(open).toThrow(
    `bullmq() got connection "postgres://…" (string). It works on Redis only: for Postgres use postgres() of rootcatch/postgres.`,
  )
  expect(open).not.toThrow(/hunter2/)
})

test.each([
  [
    { connection: 'redis://:hunter2@db.example' },
    `got connection "redis://…" (string). Give a URL like 'postgres://app@10.0.0.3:5432/app'`,
  ],
  [{ connection: 5432 }, 'got connection 5432 (number). Give a URL'],
  [
    { connection: 'postgres://db/app', schema: 'App' },
    'got schema "App" (string). Give a name of small letters, digits and _',
  ],
  [{ connection: 'postgres://db/app', schema: 'pg_jobs' }, 'got schema "pg_jobs"'],
  [{ connection: 'postgres://db/app', prefix: 'app' }, 'got an unknown option "prefix"'],
  [{ connection: 'postgres://db/app', keepResults: { first: 1 } }, 'got an unknown option "first"'],
])('postgres() refuses %j before anything is opened', (options, text) => {
  expect(() => postgres(options as never)).toThrow(text)
  expect(() => postgres(options as never)).not.toThrow(/hunter2/)
})
