import type { Host } from './chart.ts'

/** What a worker shows of itself: its chart is told only what changes. */
export class WorkerChart {
  readonly #host: Host
  readonly #isBusy: () => boolean
  #shows: 'idle' | 'working' | 'paused' | 'draining' = 'idle'
  #dryCheck: NodeJS.Immediate | undefined

  constructor(host: Host, isBusy: () => boolean) {
    this.#host = host
    this.#isBusy = isBusy
  }

  showWorking(): void {
    if (this.#shows !== 'idle') return
    this.#shows = 'working'
    this.#host.send({ type: 'took' })
  }

  /** Shows that it ran dry, if no job comes within this turn. */
  showDrySoon(): void {
    if (this.#isBusy() || this.#shows !== 'working') return
    this.#dryCheck ??= setImmediate(this.#showDry)
  }

  /** Made once: written where it is given away, it would cost each job something. */
  readonly #showDry = (): void => {
    this.#dryCheck = undefined
    if (this.#shows !== 'working' || this.#isBusy()) return
    this.#shows = 'idle'
    this.#host.send({ type: 'ran dry' })
  }

  showPause(isPaused: boolean): void {
    if (this.#shows === 'draining' || isPaused === (this.#shows === 'paused')) return
    this.#shows = isPaused ? 'paused' : 'idle'
    this.#host.send({ type: isPaused ? 'pause' : 'unpause' })
    if (!isPaused && this.#isBusy()) this.showWorking()
  }

  showDraining(): void {
    this.#shows = 'draining'
    clearImmediate(this.#dryCheck)
    this.#host.send({ type: 'shutdown' })
  }

  showStopped(): void {
    this.#host.send({ type: 'drained' })
  }
}
