export const definitionBrand: unique symbol = Symbol.for('rootcatch.definition')

/** Whether a value was made by `task()`, `supervisor()` or `actor()`, of this or a second copy of the package. */
export function isDefinition(value: unknown): value is { readonly [definitionBrand]: string } {
  try {
    return typeof value === 'object' && value !== null && definitionBrand in value
  } catch {
    return false // a proxy that throws on everything is no definition
  }
}
