import type { Child } from './child.ts'

/** Children in start order, with constant cost for each operation. */
export class ChildList {
  first: Child | undefined
  last: Child | undefined
  readonly #byName = new Map<string, Child>()

  get size(): number {
    return this.#byName.size
  }

  get(name: string): Child | undefined {
    return this.#byName.get(name)
  }

  /** The first names, as many as an error can use. */
  names(most: number): readonly string[] {
    const names: string[] = []
    for (const name of this.#byName.keys()) {
      if (names.length === most) break
      names.push(name)
    }
    return names
  }

  add(child: Child): void {
    this.#byName.set(child.name, child)
    child.before = this.last
    if (this.last === undefined) this.first = child
    else this.last.after = child
    this.last = child
  }

  /** Whether it was there. It forgets its neighbours: whoever keeps a ref to it keeps nobody else. */
  remove(child: Child): boolean {
    if (this.#byName.get(child.name) !== child) return false
    this.#byName.delete(child.name)
    if (child.before === undefined) this.first = child.after
    else child.before.after = child.after
    if (child.after === undefined) this.last = child.before
    else child.after.before = child.before
    child.before = undefined
    child.after = undefined
    return true
  }

  *[Symbol.iterator](): Generator<Child, undefined> {
    for (let child = this.first; child !== undefined; child = child.after) yield child
    return undefined
  }
}
