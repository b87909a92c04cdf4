import type { Context, Middleware, MiddlewareFn, NextFunction } from 'grammy'

/**
 * What a composer runs, one link after the other. grammY makes two async functions for each link that is added; here one
 * is enough, and most of what an update costs in grammY are these.
 */
export class Chain<C extends Context> {
  /** Only ever gets longer: updates under way go on with as many as there were. */
  readonly #links: MiddlewareFn<C>[]
  #run: MiddlewareFn<C>

  constructor(middleware: readonly Middleware<C>[]) {
    this.#links = middleware.map(flatten)
    this.#run = this.#links.length === 1 ? (this.#links[0] as MiddlewareFn<C>) : runOf(this.#links)
  }

  /** From the next update on. */
  add(middleware: Middleware<C>): void {
    this.#links.push(flatten(middleware))
    this.#run = runOf(this.#links)
  }

  get run(): MiddlewareFn<C> {
    return this.#run
  }
}

function flatten<C extends Context>(middleware: Middleware<C>): MiddlewareFn<C> {
  if (typeof middleware === 'function') return middleware
  return (ctx, next) => middleware.middleware()(ctx, next) // looked up each time: it may have got more
}

function runOf<C extends Context>(links: readonly MiddlewareFn<C>[]): MiddlewareFn<C> {
  const count = links.length
  if (count === 0) return (_ctx, next) => next()
  return (ctx, next) => runFrom(links, 0, count, ctx, next)
}

async function runFrom<C extends Context>(
  links: readonly MiddlewareFn<C>[],
  at: number,
  count: number,
  ctx: C,
  next: NextFunction,
): Promise<void> {
  const link = links[at] as MiddlewareFn<C>
  if (at + 1 === count) return void (await link(ctx, next))
  let isPassed = false
  await link(ctx, () => {
    if (isPassed) return Promise.reject(new Error('`next` already called before!')) // as grammY says it
    isPassed = true
    return runFrom(links, at + 1, count, ctx, next)
  })
}
