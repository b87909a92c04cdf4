// The same jobs by others: none of them runs a chart, keeps records or has runs to ask later.
import { Effect } from 'effect'
import nact from 'nact'
import PQueue from 'p-queue'

const CONCURRENCY = 1_000

/** Gives what begins one job: `work` has the body, how often it is tried, and what is given instead, if anything. */
export const peers = {
  plain: ({ call }) => ({ begin: (n, settled) => void call(n).then(settled), close: async () => {} }),

  'p-queue': ({ call }) => {
    const queue = new PQueue({ concurrency: CONCURRENCY })
    return { begin: (n, settled) => void queue.add(() => call(n)).then(settled), close: async () => {} }
  },

  effect: ({ body, attempts, instead }) => {
    const jobOf = (n) => {
      let attempt = 0
      const once = Effect.tryPromise({ try: () => body(n, (attempt += 1)), catch: (error) => error })
      const tried = attempts > 1 ? Effect.retry(once, { times: attempts - 1 }) : once
      return instead === undefined ? tried : Effect.orElseSucceed(tried, () => instead(n))
    }
    return {
      begin: (n, settled) => void Effect.runFork(Effect.map(jobOf(n), settled)),
      close: async () => {},
    }
  },

  nact: ({ body, attempts, instead }) => {
    const system = nact.start()
    let names = 0
    const begin = (n, settled) => {
      let attempt = 0
      names += 1 // those it makes itself are drawn by lot, and meet
      const job = nact.spawn(
        system,
        async () => {
          attempt += 1
          settled(await body(n, attempt)) // giving nothing back ends the actor
        },
        `job-${names}`,
        {
          onCrash: (message, _error, context) => {
            if (attempt < attempts) {
              nact.dispatch(context.self, message)
              return context.resume
            }
            if (instead !== undefined) settled(instead(n))
            return context.stop
          },
        },
      )
      nact.dispatch(job, {})
    }
    return { begin, close: async () => nact.stop(system) }
  },
}
