/** Never more than so many jobs wait in a process for a slot to be freed. */
const MOST = 7
/** Those that wait are worked off within that time, in ms, if bodies take as long as they did. */
const WORKED_OFF_WITHIN = 3
/** Of a task nobody knows yet, and of one whose body took longer than it was thought to. */
const LONG = 50
const FORGOTTEN = 0.8

/** How long the bodies of a task take: the longest of late, and one that was long some time ago counts less and less. */
export class Bodies {
  #longest = LONG

  took(ms: number): void {
    this.#longest = Math.max(ms, this.#longest * FORGOTTEN)
  }

  /** One that runs takes so long that nobody should wait for it. */
  tookLong(): void {
    this.took(LONG)
  }

  /** How many jobs may be taken before there is a free slot for them. */
  get ahead(): number {
    return Math.min(MOST, Math.floor(WORKED_OFF_WITHIN / this.#longest))
  }
}
