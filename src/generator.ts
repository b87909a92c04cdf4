/** What a generator function gives, async or not. */
export interface AnyGenerator {
  next(): IteratorResult<unknown> | Promise<IteratorResult<unknown>>
  return(value: undefined): IteratorResult<unknown> | Promise<IteratorResult<unknown>>
}

export function isGenerator(value: unknown): value is AnyGenerator {
  if (typeof value !== 'object' || value === null) return false
  try {
    const tag = (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag]
    return tag === 'AsyncGenerator' || tag === 'Generator'
  } catch {
    return false // a proxy that throws on everything is a value; what is wrong with it shows when it is kept
  }
}
