// Checked by `tsc --noEmit`: every `@ts-expect-error` is a mistake that must not compile.
import { exponential, task, type Plugin } from 'rootcatch'
import { circuitBreaker, logging, notify, openTelemetry, type CircuitState } from 'rootcatch/plugins'

/** How pino types one level. */
interface PinoLike {
  <Data, Message extends string = string>(data: Data, message?: Data extends string ? never : Message): void
  <Message extends string = string>(message: Message, ...rest: unknown[]): void
}
declare const pino: {
  readonly debug: PinoLike
  readonly info: PinoLike
  readonly warn: PinoLike
  readonly error: PinoLike
}

/** How winston types one level. */
interface WinstonLike {
  (message: string, ...meta: unknown[]): WinstonLike
  (message: unknown): WinstonLike
}
declare const winston: {
  readonly debug: WinstonLike
  readonly info: WinstonLike
  readonly warn: WinstonLike
  readonly error: WinstonLike
}

export const plugins: readonly Plugin[] = [
  logging(pino),
  logging(console, { levels: { done: false, failed: 'warn' } }),
  logging(winston, { first: 'message' }),
  notify(async (text, failures) => `${text.length} ${failures[0]?.kind}`, {
    window: '1h',
    when: ({ kind }) => kind !== 'lost',
  }),
  openTelemetry({ caller: 'parent' }),
]
const bank = circuitBreaker('bank', { reset: exponential({ from: '1s', to: '1m' }), counts: (error) => error !== 1 })
export const state: CircuitState = bank.state()
export const charge = task('charge', { plugins: [bank, ...plugins] }, () => 1)

// @ts-expect-error -- a logger has all levels
logging({ debug: () => {} })
// @ts-expect-error -- there is no such level
logging(console, { levels: { done: 'trace' } })
// @ts-expect-error -- a breaker has a name
circuitBreaker({ failures: 3 })
// @ts-expect-error -- a duration is no sentence
notify(() => {}, { window: '5 minutes' })
