/** Those who wait for one host, in the order they get their turn. */
export class HostLine<Waiting = unknown> {
  readonly waiting: Waiting[] = []
  timer: unknown
  /** It stands among those that may have a turn. */
  isReady = false
}
