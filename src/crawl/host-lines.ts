import type { Clock } from '../clock.ts'
import type { HostNode } from './host-node.ts'
import type { Politeness } from './politeness.ts'
import type { RequestRun } from './request-run.ts'

/** The lines of requests before their hosts. A host that has no turn to give makes nobody else wait. */
export class HostLines {
  readonly #politeness: Politeness
  readonly #clock: Clock
  readonly #wake: () => void
  /** Hosts that may have a turn; each gives one and goes to the end. */
  readonly #ready = new Set<HostNode>()
  readonly #hosts = new Set<HostNode>()
  #waiting = 0

  /** `wake` is called when a host may have a turn again. */
  constructor(politeness: Politeness, clock: Clock, wake: () => void) {
    this.#politeness = politeness
    this.#clock = clock
    this.#wake = wake
  }

  /** Requests that wait for their turn. */
  get waiting(): number {
    return this.#waiting
  }

  /** Behind those of its priority that are there already. */
  add(run: RequestRun): void {
    const { host, request } = run
    const { line } = host
    let at = line.length
    while (at > 0 && (line[at - 1] as RequestRun).request.priority > request.priority) at -= 1
    if (at === line.length) line.push(run)
    else line.splice(at, 0, run)
    this.#waiting += 1
    this.#hosts.add(host)
    if (host.timer === undefined) this.#ready.add(host)
  }

  /** The next one that has its turn; undefined if nobody has. */
  next(): RequestRun | undefined {
    for (const host of this.#ready) {
      const [run] = host.line
      this.#ready.delete(host)
      if (run === undefined) continue
      const turn = this.#politeness.tryTurn(run.request.url)
      if ('end' in turn) {
        run.turn = turn
        this.#leave(host)
        return run
      }
      this.#waitFor(host, turn.nextAt)
    }
    return undefined
  }

  /** A turn at this host was given back. */
  freed(host: HostNode): void {
    if (host.line.length === 0 || host.timer !== undefined) return
    this.#ready.add(host)
    this.#wake()
  }

  /** It waits no longer. */
  remove(run: RequestRun): void {
    const { line } = run.host
    const at = line.indexOf(run)
    if (at === -1) return
    line.splice(at, 1)
    this.#waiting -= 1
  }

  /** Those who wait, taken out. */
  takeAll(): readonly RequestRun[] {
    const all = [...this.#hosts].flatMap((host) => {
      this.#clock.clearTimeout(host.timer)
      host.timer = undefined
      return host.line.splice(0)
    })
    this.#hosts.clear()
    this.#ready.clear()
    this.#waiting = 0
    return all
  }

  #leave(host: HostNode): void {
    host.line.shift()
    this.#waiting -= 1
    if (host.line.length > 0) this.#ready.add(host)
    else this.#hosts.delete(host)
  }

  /** `Infinity`: until a turn is given back. */
  #waitFor(host: HostNode, nextAt: number): void {
    if (nextAt === Infinity || host.timer !== undefined) return
    host.timer = this.#clock.setTimeout(
      () => {
        host.timer = undefined
        if (host.line.length === 0) return
        this.#ready.add(host)
        this.#wake()
      },
      Math.max(0, nextAt - this.#clock.now()),
    )
  }
}
