import { afterAll, beforeAll, inject } from 'vitest'
import {
  startRedis,
  type FoundRedis,
  type RedisAddress,
  type RunningRedis,
  type Appendfsync,
} from '../../tools/redis.ts'

declare module 'vitest' {
  interface ProvidedContext {
    readonly redis: FoundRedis
  }
}

/** What the global set-up found. */
const found = inject('redis')

/** Why there is none: for `describe.skipIf`, and for the name of what is skipped. */
export const redisMissing: string | undefined = 'missing' in found ? found.missing : undefined

/** A server that the tests of a file share; each of them uses a prefix of its own. */
export function sharedRedis(options?: { readonly appendfsync?: Appendfsync }): () => RedisAddress {
  let redis: RunningRedis | undefined
  beforeAll(async () => {
    if (!('missing' in found)) redis = await startRedis(found, options)
  })
  afterAll(() => redis?.stop())
  return () => {
    if (redis === undefined) throw new Error(redisMissing ?? 'Redis is started before the first test.')
    return redis.address
  }
}
