/** A task tries again with growing waits, and falls back when its attempts are spent. */
import { exponential, start, task } from 'rootcatch'

const fetchRate = task(
  'fetch-rate',
  {
    retry: { attempts: 3, backoff: exponential({ from: '20ms', to: '1s' }) },
    fallback: (currency: string, failure) => ({ currency, rate: 1, because: failure.message.split(' in ')[0] }),
  },
  async (currency: string, ctx) => {
    if (currency === 'EUR' && ctx.attempt === 3) return { currency, rate: 1.08 }
    throw new Error('the bank does not answer')
  },
)

const system = await start(fetchRate)
system.on('job.retrying', ({ path, attempt, error }) => console.log(`${path}: attempt ${attempt}: ${String(error)}`))

console.log(await system.run(fetchRate, 'EUR'))
console.log(
  await system
    .run(fetchRate, 'XYZ')
    .settled()
    .then(({ status, value }) => [status, value]),
)
await system.stop()

// prints:
// fetch-rate/job:1: attempt 1: Error: the bank does not answer
// fetch-rate/job:1: attempt 2: Error: the bank does not answer
// { currency: 'EUR', rate: 1.08 }
// fetch-rate/job:2: attempt 1: Error: the bank does not answer
// fetch-rate/job:2: attempt 2: Error: the bank does not answer
// [
//   'fallback',
//   {
//     currency: 'XYZ',
//     rate: 1,
//     because: 'fetch-rate/job:2 failed after 3 attempts'
//   }
// ]
