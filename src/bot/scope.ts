import type { BotError, Context, NextFunction } from 'grammy'
import type { HostedPart } from '../actors/hosted-part.ts'
import type { DecisionName } from '../decision.ts'

/** What a boundary calls with an error of its part; `next` goes on behind the boundary. */
export type BoundaryHandler<C extends Context> = (error: BotError<C>, next: NextFunction) => unknown

/** What stands between two boundaries, or between a bot and its outermost ones: it gives them their names. */
export class Scope {
  readonly #boundaries: Boundary[] = []
  readonly #uses = new Map<string, number>()
  #unnamed = 0
  /** Where its boundaries are now: a composer that was put on another one stands in the scope of that. */
  #home: Scope | undefined

  /** Those whose parts are not inside of another one. */
  get boundaries(): readonly Boundary[] {
    return this.#homeNow.#boundaries
  }

  add(boundary: Boundary): void {
    const home = this.#homeNow
    boundary.name = home.#nameFor(boundary.given)
    home.#boundaries.push(boundary)
  }

  /** From now on part of another scope; the first it is put into. */
  joins(other: Scope): void {
    const [own, home] = [this.#homeNow, other.#homeNow]
    if (own === home || home.#isInside(own)) return
    own.#home = home
    for (const boundary of own.#boundaries.splice(0)) home.add(boundary)
  }

  get #homeNow(): Scope {
    return this.#home === undefined ? this : this.#home.#homeNow
  }

  #isInside(scope: Scope): boolean {
    return scope.#boundaries.some(({ inside }) => inside.#homeNow === this || this.#isInside(inside.#homeNow))
  }

  #nameFor(given: string | undefined): string {
    if (given === undefined) {
      this.#unnamed += 1
      return this.#nameFor(`boundary:${this.#unnamed}`)
    }
    const uses = (this.#uses.get(given) ?? 0) + 1
    this.#uses.set(given, uses)
    return uses === 1 ? given : this.#nameFor(`${given}#${uses}`)
  }
}

/** One `errorBoundary()`. It lives as long as the bot, and is touched only when something fails in its part. */
export class Boundary {
  readonly given: string | undefined
  /** Part of a path. */
  name: string
  /** Of its protected part. */
  readonly inside: Scope = new Scope()
  /** How often it decided what. */
  readonly decided: Record<DecisionName, number> = { resume: 0, restart: 0, stop: 0, escalate: 0 }

  constructor(given: string | undefined) {
    this.given = given
    this.name = given ?? 'boundary'
  }
}

/** The boundaries of a scope as the tree shows them. */
export function boundaryParts(scope: Scope, above: string, generation: number): readonly HostedPart[] {
  return scope.boundaries.map(({ name, inside, decided }) => {
    const path = `${above}/${name}`
    const children = boundaryParts(inside, path, generation)
    const failures = { ...decided }
    return { name, path, kind: 'boundary', state: 'running', restart: 'permanent', generation, failures, children }
  })
}
