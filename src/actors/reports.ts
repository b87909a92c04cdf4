import type { Failure } from '../failure.ts'
import type { Host } from './chart.ts'
import type { Level, RootLevel } from './climb.ts'
import type { Tree } from './tree.ts'

/** What an incarnation tells the one who started it. After `ended`, `failed`, `didNotStart` or `down` it is silent. */
export interface Reports {
  /** Path of the one it tells. */
  readonly path: string
  ready(): void
  ended(output: unknown): void
  failed(failure: Failure): void
  didNotStart(failure: Failure): void
  down(): void
  threw(failure: Failure): 'resume' | 'over' | 'later'
}

/** Where an incarnation stands. */
export interface Place {
  readonly tree: Tree
  readonly path: string
  readonly generation: number
  readonly host: Host
  readonly parent: Level | RootLevel
}
