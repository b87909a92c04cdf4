export type Written<Of> = { -readonly [Key in keyof Of]: Of[Key] }

/**
 * A constructor of objects as plain as literals, which nobody can tell them from. V8 makes the literals of one place in its old
 * space, all of them, once many of that place have lived long; those that are over at once then keep what they name until
 * the next full collection.
 */
export function plain<Made, Args extends readonly unknown[]>(
  make: (this: Written<Made>, ...args: Args) => void,
): new (...args: Args) => Made {
  return Object.assign(make, { prototype: Object.prototype }) as never
}
