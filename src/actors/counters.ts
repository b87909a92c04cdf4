/** What the runtime counts up: whole numbers only, so that nobody pays for a system that is not looked at. */
export interface Counters {
  jobs: {
    added: number
    started: number
    retried: number
    restarted: number
    done: number
    fellBack: number
    failed: number
    cancelled: number
    late: number
  }
  failures: { resume: number; restart: number; stop: number }
  actors: { started: number; ended: number; stopped: number; killed: number }
  /** Rounds of restarts. */
  restarts: number
  droppedMessages: number
}

export function createCounters(): Counters {
  return {
    jobs: { added: 0, started: 0, retried: 0, restarted: 0, done: 0, fellBack: 0, failed: 0, cancelled: 0, late: 0 },
    failures: { resume: 0, restart: 0, stop: 0 },
    actors: { started: 0, ended: 0, stopped: 0, killed: 0 },
    restarts: 0,
    droppedMessages: 0,
  }
}
