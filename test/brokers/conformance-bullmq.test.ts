import { afterAll, describe } from 'vitest'
import { bullmq } from '../../src/brokers/bullmq.ts'
import type { RedisAddress } from '../../tools/redis.ts'
import { redisMissing, sharedRedis } from '../support/redis.ts'
import { describeBroker } from './conformance.ts'

describe.skipIf(redisMissing)(`on Redis${redisMissing === undefined ? '' : `: ${redisMissing}`}`, () => {
  const address = sharedRedis()
  let store = 0
  const at = (): RedisAddress => ({ ...address() })
  const open = (): ReturnType<typeof bullmq> =>
    bullmq({ connection: store === 0 ? { path: 'not yet' } : at(), prefix: `store-${store}` })

  afterAll(() => {
    store = 0
  })

  describeBroker('bullmq()', {
    create: () => {
      const isAsked = store === 0 // describeBroker looks at one before Redis is there
      store += 1
      return isAsked ? bullmq({ connection: { path: 'unused' } }) : open()
    },
    again: open,
    child: () => ['bullmq', JSON.stringify({ connection: at(), prefix: `store-${store}` })],
  })
})
