import { afterAll, beforeAll, inject } from 'vitest'
import { startPostgres, type FoundPostgres, type RunningPostgres } from '../../tools/postgres.ts'

declare module 'vitest' {
  interface ProvidedContext {
    readonly postgres: FoundPostgres
  }
}

/** What the global set-up found. */
const found = inject('postgres')

/** Why there is none: for `describe.skipIf`, and for the name of what is skipped. */
export const postgresMissing: string | undefined = 'missing' in found ? found.missing : undefined

/** A server that the tests of a file share; each of them uses a schema of its own. */
export function sharedPostgres(): () => string {
  let postgres: RunningPostgres | undefined
  beforeAll(async () => {
    if (!('missing' in found)) postgres = await startPostgres(found)
  }, 60_000)
  afterAll(() => postgres?.stop())
  return () => {
    if (postgres === undefined) throw new Error(postgresMissing ?? 'Postgres is started before the first test.')
    return postgres.url
  }
}
