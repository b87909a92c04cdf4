import type { AnyActorRef } from 'xstate'
import type { PollerEvent, PollerInput, PollerOutput } from '../../machines/poller.ts'
import type { Host } from '../actors/chart.ts'
import type { PollerSetup } from './poller-setup.ts'
import { PollerStates } from './poller-states.ts'

/** The handle of a poller that runs. */
export interface Poller {
  readonly ref: AnyActorRef
  /** When Telegram last answered a poll, by the clock of the setup. */
  readonly lastPollAt: number | undefined
  /** Resolves with the end, a failure too; never rejects. */
  readonly done: Promise<PollerOutput>
  /** Aborts the poll, lets running updates end for `drain` ms, and confirms what is finished. */
  stop(options?: { readonly drain?: number | undefined }): Promise<PollerOutput>
  /** Ends it where it stands: no update is waited for, nothing is confirmed. */
  kill(): void
}

/** Starts the poller of a bot, as an actor under the bot's. */
export function startPoller(host: Host, setup: PollerSetup): Poller {
  const states = new PollerStates(setup)
  const { promise: done, resolve } = Promise.withResolvers<PollerOutput>()
  const input: PollerInput = { path: `${setup.path}/poller`, isFirst: setup.isFirst }
  const chart = host.startChart<PollerEvent, PollerOutput>(states.logic(), {
    name: 'poller',
    input,
    over: (output) => {
      if (output.status === 'failed') setup.fail(output.failure)
      resolve(output)
    },
  })
  return {
    ref: chart.ref,
    done,
    get lastPollAt() {
      return states.lastPollAt
    },
    stop: (options) => {
      chart.send({ type: 'shutdown', drain: options?.drain })
      return done
    },
    kill: () => {
      chart.stop()
      resolve({ status: 'stopped' })
    },
  }
}
