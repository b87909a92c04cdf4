const SMALL = 64

/**
 * A Map for keys that come, stay for a while and go. V8 links each table that a Map has outgrown to the next one, so that
 * of thousands of keys that came and went, everything a table ever held lives until the next full collection. Here what
 * is left moves to a new Map in time, and the old one is linked to nothing.
 */
export class PassingMap<Value, Key = string> {
  #map = new Map<Key, Value>()
  #gone = 0

  get size(): number {
    return this.#map.size
  }

  get(key: Key): Value | undefined {
    return this.#map.get(key)
  }

  has(key: Key): boolean {
    return this.#map.has(key)
  }

  set(key: Key, value: Value): void {
    this.#map.set(key, value)
  }

  delete(key: Key): boolean {
    if (!this.#map.delete(key)) return false
    this.#gone += 1
    if (this.#gone > SMALL && this.#gone > this.#map.size) this.#renew()
    return true
  }

  clear(): void {
    this.#map = new Map()
    this.#gone = 0
  }

  /** As they are now: whoever walks over them may add and delete. */
  keys(): readonly Key[] {
    return [...this.#map.keys()]
  }

  /** As they are now. */
  values(): readonly Value[] {
    return [...this.#map.values()]
  }

  #renew(): void {
    this.#map = new Map(this.#map)
    this.#gone = 0
  }
}
