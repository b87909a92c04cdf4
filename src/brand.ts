import { guarded, inherits, peek } from './evidence.ts'

/** A class whose instances are known by a brand; `prototype` is all that is looked at. */
type Class = abstract new (...args: never[]) => object

/** The brand of each class of this copy. A user's subclass has none of its own, so it is asked the ordinary way. */
const brands = new WeakMap<Class, symbol>()

/** The error class of each brand, for errors that come from another thread as data. */
const classes = new Map<string, Class>()

const mostClasses = 20

/** Whether a value carries a brand, also one of a second copy of the package. Never throws, whatever the value is. */
export function isBranded(value: unknown, brand: symbol): boolean {
  return peek(value, brand) === true
}

/** The brand of the nearest of our error classes a value is of, as a text that `classOf` knows. */
export function brandOf(value: unknown): string | undefined {
  let above: unknown = value
  for (let level = 0; level < mostClasses && typeof above === 'object' && above !== null; level += 1) {
    const below: object = above
    const brand = guarded(() => Object.getOwnPropertySymbols(below), [])
      .map((symbol) => Symbol.keyFor(symbol))
      .find((key) => key !== undefined && classes.has(key))
    if (brand !== undefined) return brand
    above = guarded(() => Object.getPrototypeOf(below), null)
  }
  return undefined
}

/** The error class that has a brand. */
export function classOf(brand: string): Class | undefined {
  return classes.get(brand)
}

/** Gives a class its brand: from now on `isInstance` knows its instances, and those of its twin in a second copy. */
export function brandClass(of: Class, brand: symbol): void {
  brands.set(of, brand)
  Object.defineProperty(of.prototype, brand, { value: true })
}

/** The brand of a class of ours, for who asks for several in one go. */
export function brandSymbolOf(of: Class): symbol {
  return brands.get(of) as symbol
}

/** What `instanceof` answers for our classes: by brand, and for a user's subclass as always. Never throws. */
export function isInstance(of: Class, value: unknown): boolean {
  const brand = brands.get(of)
  return brand === undefined ? inherits(value, of.prototype) : isBranded(value, brand)
}

/**
 * Puts name and code on the prototype: there the first line of a stack already has the name, a print does not repeat
 * the code, and a subclass of the user's inherits both.
 */
export function identify(of: Class, name: string, code: string): void {
  const brand = `rootcatch.error.${code}`
  brandClass(of, Symbol.for(brand))
  classes.set(brand, of)
  Object.defineProperty(of.prototype, 'name', { value: name, writable: true, configurable: true })
  Object.defineProperty(of.prototype, 'code', { value: code, writable: true, configurable: true })
}
