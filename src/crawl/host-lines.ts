import type { Clock } from '../clock.ts'
import type { HostNode } from './host-node.ts'
import type { Politeness } from './politeness.ts'
import type { RequestRun } from './request-run.ts'

/** Those who wait for one host, in the order they get their turn. */
interface Line {
  readonly host: HostNode
  readonly runs: RequestRun[]
  timer: unknown
}

/** So many wait for a host that answers: the next one is there at once, and few are held for it. */
const ENOUGH = 16
/** Of pages that are kept some may be among them, which wait for no host. */
const ENOUGH_TO_CACHE = 1000

/** The lines of requests before their hosts. A host that has no turn to give makes nobody else wait. */
export class HostLines {
  readonly #politeness: Politeness
  readonly #clock: Clock
  readonly #wake: () => void
  readonly #hasRoom: () => void
  readonly #isCaching: boolean
  /** Where somebody waits. */
  readonly #lines = new Map<HostNode, Line>()
  /** Lines whose host may have a turn; each gives one and goes to the end. */
  readonly #ready = new Set<Line>()
  /** Hosts that more requests would only wait for. */
  readonly #full = new Set<string>()
  #waiting = 0

  /** `wake` is called when a host may have a turn again, `hasRoom` when one is no longer full. */
  constructor(
    { politeness, clock, isCaching }: { readonly politeness: Politeness; readonly clock: Clock; isCaching: boolean },
    { wake, hasRoom }: { readonly wake: () => void; readonly hasRoom: () => void },
  ) {
    this.#politeness = politeness
    this.#clock = clock
    this.#isCaching = isCaching
    this.#wake = wake
    this.#hasRoom = hasRoom
  }

  /** Requests that wait for their turn. */
  get waiting(): number {
    return this.#waiting
  }

  /** Hosts that need no more requests at present: some wait already, and it does not bear more of them. */
  get full(): ReadonlySet<string> {
    return this.#full
  }

  /** Whether somebody may have a turn now. */
  get mayHaveTurn(): boolean {
    return this.#ready.size > 0
  }

  /** Behind those of its priority that are there already. */
  add(run: RequestRun): void {
    const { host, request } = run
    let line = this.#lines.get(host)
    if (line === undefined) this.#lines.set(host, (line = { host, runs: [], timer: undefined }))
    const { runs } = line
    let at = runs.length
    while (at > 0 && (runs[at - 1] as RequestRun).request.priority > request.priority) at -= 1
    if (at === runs.length) runs.push(run)
    else runs.splice(at, 0, run)
    this.#waiting += 1
    if (line.timer === undefined) this.#ready.add(line)
    this.#look(line)
  }

  /** The next one that has its turn; undefined if nobody has. */
  next(): RequestRun | undefined {
    for (const line of this.#ready) {
      const [run] = line.runs
      this.#ready.delete(line)
      if (run === undefined) continue
      const turn = this.#politeness.tryTurn(run.request.url)
      if ('end' in turn) {
        run.turn = turn
        this.#leave(line, 0)
        if (line.runs.length > 0) this.#ready.add(line)
        return run
      }
      this.#waitFor(line, turn.nextAt)
    }
    return undefined
  }

  /** A turn at this host was given back. */
  freed(host: HostNode): void {
    const line = this.#lines.get(host)
    if (line === undefined || line.timer !== undefined) return
    this.#ready.add(line)
    this.#wake()
  }

  /** It waits no longer. */
  remove(run: RequestRun): void {
    const line = this.#lines.get(run.host)
    const at = line?.runs.indexOf(run) ?? -1
    if (line !== undefined && at !== -1) this.#leave(line, at)
  }

  /** Those who wait, taken out. */
  takeAll(): readonly RequestRun[] {
    const all = [...this.#lines.values()].flatMap(({ runs, timer }) => {
      this.#clock.clearTimeout(timer)
      return runs
    })
    this.#lines.clear()
    this.#ready.clear()
    this.#full.clear()
    this.#waiting = 0
    return all
  }

  #leave(line: Line, at: number): void {
    line.runs.splice(at, 1)
    this.#waiting -= 1
    this.#look(line)
    if (line.runs.length > 0) return
    this.#clock.clearTimeout(line.timer)
    this.#lines.delete(line.host)
  }

  /** `Infinity`: until a turn is given back. */
  #waitFor(line: Line, nextAt: number): void {
    if (nextAt === Infinity || line.timer !== undefined) return
    line.timer = this.#clock.setTimeout(
      () => {
        line.timer = undefined
        this.#look(line)
        if (line.runs.length === 0) return
        this.#ready.add(line)
        this.#wake()
      },
      Math.max(0, nextAt - this.#clock.now()),
    )
    this.#look(line)
  }

  #look({ host, runs, timer }: Line): void {
    const enough = this.#isCaching ? ENOUGH_TO_CACHE : timer === undefined ? ENOUGH : 1
    if (runs.length >= enough) this.#full.add(host.name)
    else if (runs.length <= enough / 2 && this.#full.delete(host.name)) this.#hasRoom()
  }
}
