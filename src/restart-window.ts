/** When restarts were charged: a ring of `limit` times, so that asking and charging cost the same at any limit. */
export interface RestartWindow {
  readonly limit: number
  /** In ms; from here on back, a charge no longer counts. */
  readonly within: number
  /** Fills up to `limit`, then the oldest is written over. */
  readonly times: number[]
  /** Where the next charge goes; once the ring is full, that is where the oldest one stands. */
  next: number
}

/** An empty window: `limit` restarts within `within` ms are survived. */
export function createRestartWindow(limit: number, within: number): RestartWindow {
  return { limit, within, times: [], next: 0 }
}

/** Whether one more restart is allowed at `now`. */
export function allows(window: RestartWindow, now: number): boolean {
  if (window.limit === 0) return false // an empty ring has no oldest entry to ask
  const oldest = window.times[window.next]
  return oldest === undefined || now - oldest > window.within // exactly `within` ago still counts
}

/** Writes down a restart at `now`. */
export function charge(window: RestartWindow, now: number): void {
  if (window.limit === 0) return // a ring without places
  window.times[window.next] = now
  window.next = (window.next + 1) % window.limit
}
