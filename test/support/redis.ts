import { afterAll, beforeAll, inject } from 'vitest'
import { startRedis, type FoundRedis, type RedisAddress, type Appendfsync } from '../../tools/redis.ts'

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
  let address: RedisAddress | undefined
  beforeAll(async () => {
    if ('missing' in found) return
    const redis = await startRedis(found, options)
    address = redis.address
    afterAll(() => redis.stop())
  })
  return () => {
    if (address === undefined) throw new Error(redisMissing ?? 'Redis is started before the first test.')
    return address
  }
}
