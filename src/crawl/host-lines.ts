import type { Clock } from '../clock.ts'
import { HostLine } from './host-line.ts'
import type { HostNode } from './host-node.ts'
import type { Politeness } from './politeness.ts'
import type { RequestRun } from './request-run.ts'

type Line = HostLine<RequestRun>

/** So many wait for a host that answers: the next one is there at once, and few are held for it. */
const ENOUGH = 16
/** Of pages that are kept some may be among them, which wait for no host. */
const ENOUGH_TO_CACHE = 1000

/** What lines are told by, and whom they tell. */
export interface Lined {
  readonly politeness: Politeness
  readonly clock: Clock
  readonly isCaching: boolean
  /** Those that somebody may wait for. */
  hosts(): Iterable<HostNode>
  /** A host may have a turn again. */
  wake(): void
  /** A host is no longer full. */
  hasRoom(): void
}

/** The lines of requests before their hosts. A host that has no turn to give makes nobody else wait. */
export class HostLines {
  readonly #crawl: Lined
  /** Hosts that more requests would only wait for. */
  readonly #full = new Set<string>()
  /** Lines whose host may have a turn; each gives one and goes to the end. */
  #ready: Line[] = []
  #waiting = 0
  #hosts = 0

  constructor(crawl: Lined) {
    this.#crawl = crawl
  }

  /** Requests that wait for their turn. */
  get waiting(): number {
    return this.#waiting
  }

  /** Hosts that somebody waits for. */
  get hosts(): number {
    return this.#hosts
  }

  /** Hosts that need no more requests at present: some wait already, and it does not bear more of them. */
  get full(): ReadonlySet<string> {
    return this.#full
  }

  /** Whether somebody may have a turn now. */
  get mayHaveTurn(): boolean {
    return this.#ready.length > 0
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
    if (runs.length === 1) this.#hosts += 1
    if (line.timer === undefined) this.#mayBeReady(line)
    this.#look(host, line)
  }

  /** The next one that has its turn; undefined if nobody has. */
  next(): RequestRun | undefined {
    for (let line = this.#ready.shift(); line !== undefined; line = this.#ready.shift()) {
      const [run] = line.waiting
      line.isReady = false
      if (run === undefined) continue
      const turn = this.#crawl.politeness.tryTurn(run.request.url, () => this.freed(run.host))
      if ('end' in turn) {
        run.turn = turn
        this.#leave(run.host, line, 0)
        if (line.waiting.length > 0) this.#mayBeReady(line)
        return run
      }
      this.#waitFor(run.host, line, turn.nextAt)
    }
    return undefined
  }

  /** A turn at this host was given back. */
  freed(host: HostNode): void {
    const line = host.line as Line | undefined
    if (line === undefined || line.waiting.length === 0 || line.timer !== undefined) return
    this.#mayBeReady(line)
    this.#crawl.wake()
  }

  /** It waits no longer. */
  remove(run: RequestRun): void {
    const line = run.host.line as Line | undefined
    const at = line?.waiting.indexOf(run) ?? -1
    if (line !== undefined && at !== -1) this.#leave(run.host, line, at)
  }

  /** Those who wait, taken out. */
  takeAll(): readonly RequestRun[] {
    const all: RequestRun[] = []
    for (const host of this.#crawl.hosts()) {
      const line = host.line as Line | undefined
      if (line === undefined) continue
      this.#clearTimer(line)
      line.isReady = false
      all.push(...line.waiting.splice(0))
    }
    this.#ready = []
    this.#full.clear()
    this.#waiting = 0
    this.#hosts = 0
    return all
  }

  #mayBeReady(line: Line): void {
    if (line.isReady) return
    line.isReady = true
    this.#ready.push(line)
  }

  #leave(host: HostNode, line: Line, at: number): void {
    if (at === 0) line.waiting.shift()
    else line.waiting.splice(at, 1)
    this.#waiting -= 1
    if (line.waiting.length === 0) {
      this.#hosts -= 1
      this.#clearTimer(line)
    }
    this.#look(host, line)
  }

  #clearTimer(line: Line): void {
    if (line.timer !== undefined) this.#crawl.clock.clearTimeout(line.timer)
    line.timer = undefined
  }

  /** `Infinity`: until a turn is given back. */
  #waitFor(host: HostNode, line: Line, nextAt: number): void {
    if (nextAt === Infinity || line.timer !== undefined) return
    const { clock } = this.#crawl
    line.timer = clock.setTimeout(
      () => {
        line.timer = undefined
        this.#look(host, line)
        if (line.waiting.length === 0) return
        this.#mayBeReady(line)
        this.#crawl.wake()
      },
      Math.max(0, nextAt - clock.now()),
    )
    this.#look(host, line)
  }

  #look({ name }: HostNode, { waiting, timer }: Line): void {
    const enough = this.#crawl.isCaching ? ENOUGH_TO_CACHE : timer === undefined ? ENOUGH : 1
    if (waiting.length >= enough) this.#full.add(name)
    else if (waiting.length <= enough / 2 && this.#full.delete(name)) this.#crawl.hasRoom()
  }
}
