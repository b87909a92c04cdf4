import type { RestartType } from '../child.ts'

/** A node below a hosted child, as the tree shows it. */
export interface HostedPart {
  readonly name: string
  readonly path: string
  readonly kind: string
  readonly state: unknown
  readonly restart: RestartType
  readonly generation: number
  readonly children?: readonly HostedPart[]
}
