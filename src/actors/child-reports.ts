import type { Failure } from '../failure.ts'
import type { Child } from './child.ts'
import type { Reports } from './reports.ts'
import type { Supervision } from './supervision.ts'

/** What one incarnation of a child tells its supervisor. One object with nothing of its own: there is one for each child. */
export class ChildReports implements Reports {
  readonly #core: Supervision
  readonly #child: Child
  readonly #generation: number

  constructor(core: Supervision, child: Child) {
    this.#core = core
    this.#child = child
    this.#generation = child.generation
  }

  get path(): string {
    return this.#core.path
  }

  ready(): void {
    this.#core.ready(this.#child, this.#generation)
  }

  ended(output: unknown): void {
    this.#core.ended(this.#child, this.#generation, output)
  }

  failed(failure: Failure): void {
    this.#core.failed(this.#child, this.#generation, failure)
  }

  didNotStart(failure: Failure): void {
    this.#core.didNotStart(this.#child, this.#generation, failure)
  }

  down(): void {
    this.#core.down(this.#child, this.#generation)
  }

  threw(failure: Failure): 'resume' | 'over' | 'later' {
    return this.#core.threw(this.#child, failure)
  }
}
