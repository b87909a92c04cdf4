import type { Broker } from '../brokers/broker.ts'
import { InvalidOptionError } from '../errors.ts'
import type { Tree } from './tree.ts'

/** Brokers of live systems. A broker has one clock and ends with its system, so it cannot serve two of them. */
const claimed = new WeakSet<Broker>()

/** Takes the broker of a system for it alone. */
export function claimBroker({ name, broker }: Tree): void {
  if (claimed.has(broker)) {
    const advice = 'It serves a system that is live; make a broker for each, or stop that one first.'
    throw new InvalidOptionError(`system "${name}"`, 'broker', broker.name, advice)
  }
  claimed.add(broker)
}

/** It may serve another system now. */
export function releaseBroker(broker: Broker): void {
  claimed.delete(broker)
}
