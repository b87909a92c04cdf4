import type { Hooks } from '../plugin.ts'

/**
 * Errors of a user's function that was called where nobody can report them: in a timer, or around a body that must not
 * fail because of it. They are thrown in the next hook that only watches, which makes them `plugin.failed`.
 */
export class Unreported {
  readonly #errors: unknown[] = []
  readonly #underWay = new Set<Promise<void>>()

  /** Runs a function of the user's; what it throws is kept. */
  guard(call: () => unknown): void {
    try {
      const result = call()
      if (result instanceof Promise) this.#follow(result)
    } catch (error) {
      this.add(error)
    }
  }

  add(error: unknown): void {
    if (this.#errors.length < MOST) this.#errors.push(error)
  }

  /** Everything that was begun is over. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  throwNext(): void {
    if (this.#errors.length > 0) throw this.#errors.shift()
  }

  #follow(result: Promise<unknown>): void {
    const followed: Promise<void> = result.then(
      () => void this.#underWay.delete(followed),
      (error: unknown) => {
        this.#underWay.delete(followed)
        this.add(error)
      },
    )
    this.#underWay.add(followed)
  }

  /** The hooks in which they come out. */
  readonly hooks: Pick<Hooks, 'after' | 'retrying' | 'fallback' | 'failed' | 'cancelled' | 'teardown'> = {
    after: () => this.throwNext(),
    retrying: () => this.throwNext(),
    fallback: () => this.throwNext(),
    failed: () => this.throwNext(),
    cancelled: () => this.throwNext(),
    teardown: () => this.throwNext(),
  }
}

const MOST = 100
