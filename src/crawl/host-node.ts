import type { Level } from '../actors/climb.ts'
import type { JobSource } from '../actors/job-source.ts'
import type { Plugin } from '../plugin.ts'
import type { HostLine } from './host-line.ts'
import type { DomainOptions } from './spider-options.ts'

/** A host of a crawl as the supervisor of its pages; there as long as one of them is held. */
export class HostNode implements Level {
  readonly name: string
  readonly path: string
  readonly parent: Level
  readonly plugins: readonly Plugin[] = []
  readonly catch: Level['catch']
  readonly restarts: Level['restarts']
  readonly networkTryLimit: number | undefined
  /** Requests that are held here: waiting for their turn, running, or waiting for their next try. */
  size = 0
  running = 0
  /** Those who wait for their turn here. */
  line: HostLine | undefined
  /** What its jobs are made of, without a fallback and with one. */
  readonly sources: [JobSource | undefined, JobSource | undefined] = [undefined, undefined]

  constructor(name: string, parent: Level, options: Pick<DomainOptions, 'catch' | 'networkTryLimit'> | undefined) {
    this.name = name
    this.path = `${parent.path}/${name}`
    this.parent = parent
    this.catch = options?.catch
    this.networkTryLimit = options?.networkTryLimit
    this.restarts = parent.restarts
  }

  restartDelay(): number {
    return 0
  }
}
