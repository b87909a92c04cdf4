import type { QueueStats } from '../brokers/broker.ts'
import { formatDuration } from '../duration.ts'
import type { System } from '../system.ts'
import type { Drain } from './drain.ts'
import { paint } from './output.ts'
import { logLine, nameOf } from './run-log.ts'
import { StatusReader, statusText, type Status } from './run-status.ts'
import { StatusLine } from '../status-line.ts'

/** How often the line is drawn; how often there is a look at it, and a line of it, where there is no terminal. */
const DRAWN_EVERY = 200
const SAMPLED_EVERY = 1_000
const WRITTEN_EVERY = 10_000

/** Shows what goes on, until it is ended: a live line in a terminal, a line on change elsewhere. Keeps the process up. */
export function showStatus(system: System, { left }: Drain): () => void {
  const { stdout, stderr } = process
  const line = stderr.isTTY ? new StatusLine(stdout.isTTY ? [stderr, stdout] : [stderr]) : undefined
  const reader = new StatusReader()
  let queues: readonly QueueStats[] = []
  let written = { at: performance.now(), text: '' }

  let isAsking = false
  const ask = async (): Promise<void> => {
    if (isAsking) return
    isAsking = true
    try {
      queues = await system.queues()
    } catch {
      // A broker that is away is reported by those who need it.
    } finally {
      isAsking = false
    }
  }
  const look = (): void => {
    const now = performance.now()
    void ask()
    const status = reader.read(system.stats(), queues, now)
    if (line !== undefined) return line.show(liveText(system, left(), status))
    const text = statusText({ ...status, rate: 0 })
    if (now - written.at < WRITTEN_EVERY || text === written.text) return
    written = { at: now, text }
    logLine(statusText(status))
  }
  look()
  const timer = setInterval(look, line === undefined ? SAMPLED_EVERY : DRAWN_EVERY)
  return () => {
    clearInterval(timer)
    line?.end()
  }
}

function liveText(system: System, left: number | undefined, status: Status): string {
  const { stderr } = process
  const lamp = paint(left === undefined ? 'green' : 'yellow', '●', stderr)
  const phase = left === undefined ? '' : `  draining, ${formatDuration(Math.ceil(left / 1_000) * 1_000)} left`
  const counts = statusText(status, (failed) => paint('red', failed, stderr))
  return `${lamp} ${nameOf(system)}${phase}  ${counts}`
}
