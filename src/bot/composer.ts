import { Composer as GrammyComposer, type Context, type Middleware, type MiddlewareFn, type NextFunction } from 'grammy'
import { readName } from '../options.ts'
import { Chain } from './chain.ts'
import { guard } from './guard.ts'
import { Boundary, Scope, type BoundaryHandler } from './scope.ts'

type MaybePromise<Value> = Value | Promise<Value>

/**
 * grammY's `Composer`; its error boundaries may have a name, and are supervisors in the tree of a bot they are part of.
 */
export class Composer<C extends Context> extends GrammyComposer<C> {
  readonly #chain: Chain<C>

  constructor(...middleware: Middleware<C>[]) {
    super()
    this.#chain = new Chain(middleware)
    adoptAll(this, middleware)
  }

  override middleware(): MiddlewareFn<C> {
    return this.#chain.run
  }

  override use(...middleware: Middleware<C>[]): Composer<C> {
    const composer = partOf(this, middleware)
    this.#chain.add(composer)
    return composer
  }

  override filter<D extends C>(predicate: (ctx: C) => ctx is D, ...middleware: Middleware<D>[]): Composer<D>
  override filter(predicate: (ctx: C) => MaybePromise<boolean>, ...middleware: Middleware<C>[]): Composer<C>
  override filter(predicate: (ctx: C) => MaybePromise<boolean>, ...middleware: Middleware<never>[]): Composer<C> {
    return addFilter(this, predicate, middleware as Middleware<C>[])
  }

  override fork(...middleware: Middleware<C>[]): Composer<C> {
    return addFork(this, middleware)
  }

  /**
   * Protects what follows the handler, and all that is ever put on the composer it returns. What the handler throws goes
   * to the boundary around this one; if it returns, the part counts as completed.
   *
   * @example
   * const checkout = bot.errorBoundary('checkout', (err, next) => log(err))
   */
  override errorBoundary(handler: BoundaryHandler<C>, ...middleware: Middleware<C>[]): Composer<C>
  override errorBoundary(name: string, handler: BoundaryHandler<C>, ...middleware: Middleware<C>[]): Composer<C>
  override errorBoundary(...given: unknown[]): Composer<C> {
    return addBoundary(this, given)
  }
}

/** The scope each of our composers stands in; bots are not of our class, and have one too. */
const scopes = new WeakMap<object, Scope>()

export function scopeOf(composer: object): Scope {
  let scope = scopes.get(composer)
  if (scope === undefined) scopes.set(composer, (scope = new Scope()))
  return scope
}

/** A composer that is put on another one. */
export function partOf<C extends Context>(owner: object, middleware: readonly Middleware<C>[]): Composer<C> {
  const composer = new Composer<C>(...middleware)
  scopeOf(composer).joins(scopeOf(owner))
  return composer
}

export function addFilter<C extends Context>(
  owner: GrammyComposer<C>,
  predicate: (ctx: C) => MaybePromise<boolean>,
  middleware: readonly Middleware<C>[],
): Composer<C> {
  const composer = partOf<C>(owner, middleware)
  owner.branch(predicate, composer, pass)
  return composer
}

export function addFork<C extends Context>(
  owner: GrammyComposer<C>,
  middleware: readonly Middleware<C>[],
): Composer<C> {
  const composer = partOf<C>(owner, middleware)
  const run = async (ctx: C): Promise<void> => void (await composer.middleware()(ctx, leaf))
  owner.use((ctx, next) => Promise.all([next(), run(ctx)]))
  return composer
}

export function addBoundary<C extends Context>(owner: GrammyComposer<C>, given: readonly unknown[]): Composer<C> {
  const isNamed = typeof given[0] === 'string'
  const [name, handler, ...middleware] = isNamed ? given : [undefined, ...given]
  const boundary = new Boundary(isNamed ? readName('errorBoundary', name) : undefined)
  const composer = new Composer<C>(...(middleware as Middleware<C>[]))
  scopeOf(composer).joins(boundary.inside)
  scopeOf(owner).add(boundary)
  owner.use(guard(boundary, handler as BoundaryHandler<C>, composer))
  return composer
}

function adoptAll(owner: object, middleware: readonly unknown[]): void {
  for (const each of middleware) {
    const scope = typeof each === 'object' && each !== null ? scopes.get(each) : undefined
    scope?.joins(scopeOf(owner))
  }
}

const leaf = (): Promise<void> => Promise.resolve()

function pass<C extends Context>(_ctx: C, next: NextFunction): ReturnType<MiddlewareFn<C>> {
  return next()
}
