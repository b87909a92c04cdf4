import { task, type Task } from '../../src/index.ts'

/** What the workers of the fleet in the chaos test do; each job says its number. */
export function chaosWork(say: (line: string) => void): Task<number, number> {
  return task('work', { concurrency: 20, retry: { attempts: 3 } }, async (n: number, ctx) => {
    say(`began ${n}`)
    await new Promise((resolve) => setTimeout(resolve, (n * 7) % 20))
    if (n % 50 === 0 && ctx.attempt === 1) throw new Error('not at the first attempt')
    say(`ended ${n}`)
    return n * 2
  })
}
