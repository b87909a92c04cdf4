const TURNS = 5

/**
 * Lets promises, microtasks and immediates come to rest, without waiting for any time to pass. What waits for a timer,
 * a socket or a file goes on waiting.
 */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve))
}
