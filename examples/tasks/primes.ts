/** Tasks that compute, in a file of their own: a thread imports it, so it starts nothing. */
import { task } from 'rootcatch'

export const countPrimes = task('countPrimes', { isolate: true }, async function* (below: number) {
  let count = 0
  for (let n = 2; n < below; n += 1) {
    if (isPrime(n)) count += 1
    if (n % 100_000 === 0) yield { at: n, count }
  }
  return count
})

export const forever = task('forever', { isolate: true, timeout: '100ms' }, (): never => {
  for (;;);
})

function isPrime(n: number): boolean {
  for (let d = 2; d * d <= n; d += 1) if (n % d === 0) return false
  return true
}
