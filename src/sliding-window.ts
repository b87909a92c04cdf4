/** When something was charged: a ring of `limit` times, so that asking and charging cost the same at any limit. */
export interface SlidingWindow {
  readonly limit: number
  /** In ms; from here on back, a charge no longer counts. */
  readonly within: number
  /** Fills up to `limit`, then the oldest is written over. */
  readonly times: number[]
  /** Where the next charge goes; once the ring is full, that is where the oldest one stands. */
  next: number
}

/** An empty window: up to `limit` charges within `within` ms. */
export function createSlidingWindow(limit: number, within: number): SlidingWindow {
  return { limit, within, times: [], next: 0 }
}

/** Whether one more charge is allowed at `now`. */
export function allows(window: SlidingWindow, now: number): boolean {
  if (window.limit === 0) return false // an empty ring has no oldest entry to ask
  const oldest = window.times[window.next]
  return oldest === undefined || now - oldest > window.within // exactly `within` ago still counts
}

/** Writes down a charge at `now`. */
export function charge(window: SlidingWindow, now: number): void {
  if (window.limit === 0) return // a ring without places
  window.times[window.next] = now
  window.next = (window.next + 1) % window.limit
}

/** How many charges are allowed at `now`, `most` at the most. */
export function roomIn(window: SlidingWindow, now: number, most: number): number {
  const { limit, within, times, next } = window
  let room = limit - times.length
  for (let age = 0; age < times.length && room < most; age += 1, room += 1) {
    const time = times[(next + age) % times.length] as number // until the ring is full, `next` is its length
    if (now - time <= within) break
  }
  return Math.min(room, most)
}

/** How long after `now` the next charge is allowed, in ms. */
export function untilRoom(window: SlidingWindow, now: number): number {
  const oldest = window.times[window.next]
  return oldest === undefined ? 0 : Math.max(0, oldest + window.within + 1 - now)
}
