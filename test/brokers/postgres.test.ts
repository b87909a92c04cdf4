import { expect, test } from 'vitest'
import { bullmq } from '../../src/brokers/bullmq.ts'

test.each([
  ['a URL', 'postgres://app:hunter2@db.example/app'],
  ['a URL with the longer name', 'PostgreSQL://app:hunter2@db.example/app'],
  ['options of pg', { connectionString: 'postgres://app:hunter2@db.example/app' }],
])('Postgres is refused before anything is opened, by %s, and the password is in no text', (_, connection) => {
  const open = (): unknown => bullmq({ connection: connection as string })
  expect(open).toThrow(
    `bullmq() got connection "postgres://…" (string). It works on Redis only: give a URL like 'redis://10.0.0.3:6379', or use sqlite() on one machine.`,
  )
  expect(open).not.toThrow(/hunter2/)
})
