import type { Way } from './drive.ts'

/** Thrown by every body that throws: the same one, so that no contender pays for taking a stack. */
const NOT_YET = new Error('not yet')

export interface Input {
  readonly n: number
}

/** The body of every job that goes well: trivial, so that what is measured is what stands around it. */
export const double = async ({ n }: Input): Promise<number> => n * 2

/** Throws at the first attempt. */
export const doubleLater = async ({ n }: Input, attempt: number): Promise<number> => {
  if (attempt === 1) throw NOT_YET
  return n * 2
}

export const fail = async (): Promise<number> => {
  throw NOT_YET
}

export const valueOf: Readonly<Record<Way, (n: number) => unknown>> = {
  ok: (n) => n * 2,
  retry: (n) => n * 2,
  fallback: (n) => n * 3,
  answer: () => 'answered',
}
