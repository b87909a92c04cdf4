import { afterEach, beforeEach } from 'vitest'

/** Fails every test of a file that lets a promise reject without anybody to handle it. */
export function failOnUnhandled(): void {
  const unhandled: unknown[] = []
  const note = (error: unknown): void => void unhandled.push(error)
  beforeEach(() => void process.on('unhandledRejection', note))
  afterEach(() => {
    process.off('unhandledRejection', note)
    if (unhandled.length > 0) throw new AggregateError(unhandled.splice(0), 'rejections that nobody handled')
  })
}
