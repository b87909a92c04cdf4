import { task } from '../../src/index.ts'

/** Takes long enough for a process that nothing holds to end meanwhile. */
export const slowly = task('slowly', async (what: string) => {
  await new Promise((resolve) => setTimeout(resolve, 400))
  return `${what} done`
})
