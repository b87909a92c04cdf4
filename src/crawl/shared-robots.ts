import { SharedWord } from '../actors/shared-word.ts'
import type { Broker } from '../brokers/broker.ts'
import type { Clock } from '../clock.ts'
import type { Json } from '../payload.ts'
import type { RobotsFile, RobotsKeeper } from './robots.ts'

/** Nobody is waited for longer, whatever keeps it. */
const ASKS_AT_MOST = 60_000
const LOOKS_EVERY = 50

/** Somebody asks the site at present. */
interface Asking {
  readonly asker: string
  readonly at: number
}

export interface SharedRobotsParts {
  readonly broker: Broker
  /** Of the spider. */
  readonly path: string
  readonly clock: Clock
  readonly fleet: { readonly id: string; readonly known: ReadonlySet<string> }
}

/** The robots.txt of each site, asked for by one of the processes that crawl together and known to all. */
export class SharedRobots implements RobotsKeeper {
  readonly #parts: SharedRobotsParts

  constructor(parts: SharedRobotsParts) {
    this.#parts = parts
  }

  async once(origin: string, fetch: (before: RobotsFile | undefined) => Promise<RobotsFile>): Promise<RobotsFile> {
    const { broker, path, clock } = this.#parts
    const word = new SharedWord<Json>(broker, path, `robots ${origin}`)
    for (;;) {
      const found = await this.#take(word)
      if (found === 'away') return fetch(undefined)
      if ('file' in found) return found.file
      if ('before' in found) return this.#fetch(word, () => fetch(found.before))
      await new Promise<void>((resolve) => void clock.setTimeout(resolve, LOOKS_EVERY))
    }
  }

  /** What is known, or that it is to be asked for here, or that somebody else does. */
  async #take(
    word: SharedWord<Json>,
  ): Promise<'away' | { readonly file: RobotsFile } | { readonly before: RobotsFile | undefined } | { wait: true }> {
    const { clock, fleet } = this.#parts
    let found: { readonly file: RobotsFile } | { readonly before: RobotsFile | undefined } | { wait: true }
    found = { wait: true }
    try {
      await word.change((known) => {
        const now = clock.now()
        const said = known as unknown as Asking | RobotsFile | undefined
        const isAsking = said !== undefined && 'asker' in said
        if (said !== undefined && !isAsking && said.until > now) {
          found = { file: said }
          return undefined
        }
        if (isAsking && now - said.at < ASKS_AT_MOST && fleet.known.has(said.asker) && said.asker !== fleet.id) {
          found = { wait: true }
          return undefined
        }
        found = { before: isAsking ? undefined : said }
        return { asker: fleet.id, at: now }
      })
      return found
    } catch {
      return 'away'
    }
  }

  async #fetch(word: SharedWord<Json>, fetch: () => Promise<RobotsFile>): Promise<RobotsFile> {
    let file: RobotsFile | undefined
    try {
      file = await fetch()
      return file
    } finally {
      const told = file === undefined ? null : (file as unknown as Json)
      await word.change(() => told).catch(() => {}) // the broker is away: the others ask for themselves
    }
  }
}
