import type { ChildPolicy } from './child.ts'
import type { definitionBrand } from './definition.ts'
import type { Plugin } from './plugin.ts'

/** A definition that brings its own life along, so that nobody who has none of its kind loads what that is made of. */
export interface Hosted<Kind extends 'bot' | 'spider' = 'bot' | 'spider'> {
  readonly [definitionBrand]: Kind
  readonly kind: Kind
  readonly name: string
  readonly plugins: readonly Plugin[]
  readonly child: ChildPolicy
}
