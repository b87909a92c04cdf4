import type { Clock } from '../clock.ts'
import { HostLine } from './host-line.ts'
import type { HostNode } from './host-node.ts'
import type { Politeness } from './politeness.ts'
import type { RequestRun } from './request-run.ts'

type Line = HostLine<RequestRun>

/** The lines of requests before their hosts. A host that has no turn to give makes nobody else wait. */
export class HostLines {
  readonly #politeness: Politeness
  readonly #clock: Clock
  readonly #hosts: () => Iterable<HostNode>
  readonly #wake: () => void
  /** Lines whose host may have a turn; each gives one and goes to the end. */
  #ready: Line[] = []
  #waiting = 0

  /** `hosts` are those that somebody may wait for; `wake` is called when a host may have a turn again. */
  constructor(politeness: Politeness, clock: Clock, hosts: () => Iterable<HostNode>, wake: () => void) {
    this.#politeness = politeness
    this.#clock = clock
    this.#hosts = hosts
    this.#wake = wake
  }

  /** Requests that wait for their turn. */
  get waiting(): number {
    return this.#waiting
  }

  /** Behind those of its priority that are there already. */
  add(run: RequestRun): void {
    const { host, request } = run
    const line = (host.line as Line | undefined) ?? new HostLine<RequestRun>()
    host.line = line
    const runs = line.waiting
    let at = runs.length
    while (at > 0 && (runs[at - 1] as RequestRun).request.priority > request.priority) at -= 1
    if (at === runs.length) runs.push(run)
    else runs.splice(at, 0, run)
    this.#waiting += 1
    if (line.timer === undefined) this.#mayBeReady(line)
  }

  /** The next one that has its turn; undefined if nobody has. */
  next(): RequestRun | undefined {
    for (let line = this.#ready.shift(); line !== undefined; line = this.#ready.shift()) {
      const [run] = line.waiting
      line.isReady = false
      if (run === undefined) continue
      const turn = this.#politeness.tryTurn(run.request.url)
      if ('end' in turn) {
        run.turn = turn
        this.#leave(line, 0)
        if (line.waiting.length > 0) this.#mayBeReady(line)
        return run
      }
      this.#waitFor(line, turn.nextAt)
    }
    return undefined
  }

  /** A turn at this host was given back. */
  freed(host: HostNode): void {
    const line = host.line as Line | undefined
    if (line === undefined || line.waiting.length === 0 || line.timer !== undefined) return
    this.#mayBeReady(line)
    this.#wake()
  }

  /** It waits no longer. */
  remove(run: RequestRun): void {
    const line = run.host.line as Line | undefined
    const at = line?.waiting.indexOf(run) ?? -1
    if (line !== undefined && at !== -1) this.#leave(line, at)
  }

  /** Those who wait, taken out. */
  takeAll(): readonly RequestRun[] {
    const all: RequestRun[] = []
    for (const host of this.#hosts()) {
      const line = host.line as Line | undefined
      if (line === undefined) continue
      this.#clearTimer(line)
      line.isReady = false
      all.push(...line.waiting.splice(0))
    }
    this.#ready = []
    this.#waiting = 0
    return all
  }

  #mayBeReady(line: Line): void {
    if (line.isReady) return
    line.isReady = true
    this.#ready.push(line)
  }

  #leave(line: Line, at: number): void {
    if (at === 0) line.waiting.shift()
    else line.waiting.splice(at, 1)
    this.#waiting -= 1
    if (line.waiting.length === 0) this.#clearTimer(line)
  }

  #clearTimer(line: Line): void {
    if (line.timer !== undefined) this.#clock.clearTimeout(line.timer)
    line.timer = undefined
  }

  /** `Infinity`: until a turn is given back. */
  #waitFor(line: Line, nextAt: number): void {
    if (nextAt === Infinity || line.timer !== undefined) return
    line.timer = this.#clock.setTimeout(
      () => {
        line.timer = undefined
        if (line.waiting.length === 0) return
        this.#mayBeReady(line)
        this.#wake()
      },
      Math.max(0, nextAt - this.#clock.now()),
    )
  }
}
