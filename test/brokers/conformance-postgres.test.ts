import { afterAll, describe } from 'vitest'
import { postgres } from '../../src/brokers/postgres.ts'
import { postgresMissing, sharedPostgres } from '../support/postgres.ts'
import { describeBroker } from './conformance.ts'

describe.skipIf(postgresMissing)(`on Postgres${postgresMissing === undefined ? '' : `: ${postgresMissing}`}`, () => {
  const url = sharedPostgres()
  let store = 0
  const open = (): ReturnType<typeof postgres> => postgres({ connection: url(), schema: `store_${store}` })

  afterAll(() => {
    store = 0
  })

  describeBroker('postgres()', {
    create: () => {
      const isAsked = store === 0 // describeBroker looks at one before Postgres is there
      store += 1
      return isAsked ? postgres({ connection: 'postgres://unused/unused' }) : open()
    },
    again: open,
    child: () => ['postgres', JSON.stringify({ connection: url(), schema: `store_${store}` })],
  })
})
