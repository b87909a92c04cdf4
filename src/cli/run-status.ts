import type { QueueStats } from '../brokers/broker.ts'
import type { Stats } from '../stats.ts'

const WINDOW = 10_000

/** What a running system is doing, in numbers. */
export interface Status {
  readonly running: number
  readonly waiting: number
  readonly delayed: number
  readonly done: number
  readonly failed: number
  /** Jobs that ended well per second, over the last ten. */
  readonly rate: number
}

interface Sample {
  readonly at: number
  readonly done: number
}

/** Counts of one system, looked at again and again. */
export class StatusReader {
  #samples: readonly Sample[] = []

  read(stats: Stats, queues: readonly QueueStats[], now: number): Status {
    const { done, fellBack, failed } = stats.jobs
    const ended = done + fellBack
    const kept = this.#samples.filter(({ at }) => now - at <= WINDOW)
    this.#samples = [...kept, { at: now, done: ended }]
    const first = this.#samples[0] as Sample
    const seconds = (now - first.at) / 1_000
    return {
      running: stats.attempts,
      waiting: sumOf(queues, 'waiting'),
      delayed: sumOf(queues, 'delayed'),
      done: ended,
      failed,
      rate: seconds < 0.5 ? 0 : (ended - first.done) / seconds,
    }
  }
}

/** The most telling first, for a narrow terminal shows only the beginning. */
export function statusText(status: Status, paintFailed: (text: string) => string = (text) => text): string {
  const { running, waiting, delayed, done, failed, rate } = status
  return [
    `running ${grouped(running)}`,
    `waiting ${grouped(waiting)}`,
    ...(delayed > 0 ? [`delayed ${grouped(delayed)}`] : []),
    `done ${grouped(done)}`,
    failed > 0 ? paintFailed(`failed ${grouped(failed)}`) : 'failed 0',
    `${rate < 10 ? rate.toFixed(1) : grouped(Math.round(rate))}/s`,
  ].join('  ')
}

/** 12 345 678, with spaces that do not break. */
function grouped(count: number): string {
  return String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, '\u00A0')
}

function sumOf(queues: readonly QueueStats[], key: 'waiting' | 'delayed'): number {
  return queues.reduce((sum, queue) => sum + queue[key], 0)
}
