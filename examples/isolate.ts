/** A task that computes runs in a thread: nothing else waits for it, and a loop without end is ended. */
import { resume, start, supervisor, TimeoutError } from 'rootcatch'
import { countPrimes, forever } from './tasks/primes.ts'

await using system = await start(supervisor('maths', [countPrimes, forever]), { catch: () => resume })

system.on('job.progress', ({ value }) => console.log(value))
let ticks = 0
const ticking = setInterval(() => (ticks += 1), 5)
console.log(await system.run(countPrimes, 300_001), 'primes')
clearInterval(ticking)
console.log(ticks > 2 ? 'and the event loop was free' : 'and nothing else had its turn')

const { failure } = await system.run(forever).settled()
console.log(failure?.kind, failure?.error instanceof TimeoutError)

// prints:
// { at: 100000, count: 9592 }
// { at: 200000, count: 17984 }
// { at: 300000, count: 25997 }
// 25997 primes
// and the event loop was free
// timeout true
