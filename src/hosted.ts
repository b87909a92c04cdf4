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

/** A hosted definition that `system.run` takes: with which options, and what it gives for them. */
export interface Runnable<Options, Handle> extends Hosted<'spider'> {
  /** Types only; never set. */
  readonly '~run'?: { readonly options: Options; readonly handle: Handle }
}
