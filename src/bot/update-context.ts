import { Context, type Api } from 'grammy'
import type { Update, UserFromGetMe } from 'grammy/types'
import type { Pass } from './pass.ts'

type Constructor<C extends Context> = new (update: Update, api: Api, me: UserFromGetMe) => C

/** Makes the context of an update, with its pass. */
export type NewContext<C extends Context> = (update: Update, api: Api, me: UserFromGetMe, pass: Pass) => C

/** `ctx.job` stands behind the class that a user gave, so that contexts cost no property more, and show none. */
export function contextMaker<C extends Context>(given: Constructor<C> | undefined): NewContext<C> {
  const Base = (given ?? Context) as Constructor<Context>
  class UpdateContext extends Base {
    readonly #pass: Pass

    constructor(update: Update, api: Api, me: UserFromGetMe, pass: Pass) {
      super(update, api, me)
      this.#pass = pass
    }

    get job(): unknown {
      return #pass in this ? this.#pass.job : undefined
    }
  }
  Object.defineProperty(UpdateContext.prototype, 'constructor', { value: Base, writable: true, configurable: true })
  return (update, api, me, pass) => {
    const ctx = new UpdateContext(update, api, me, pass)
    // A class may give something else than its `this`, or have a `job` of its own.
    if (ctx.job !== pass.job) Object.defineProperty(ctx, 'job', { value: pass.job, configurable: true })
    return ctx as unknown as C
  }
}
