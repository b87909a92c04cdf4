/** Whether a page is given up, and why: told to what is under way for it, and as a signal to who asks for one. */
export class GiveUp {
  #given: { readonly reason: unknown } | undefined
  #controller: AbortController | undefined
  #told: ((reason: unknown) => void) | undefined

  get isGivenUp(): boolean {
    return this.#given !== undefined
  }

  get reason(): unknown {
    return this.#given?.reason
  }

  /** Made when it is first asked for: most pages never do. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#given !== undefined) this.#controller.abort(this.#given.reason)
    }
    return this.#controller.signal
  }

  /** What is under way now, and is told when it is given up; undefined where nothing is. */
  tell(underway: ((reason: unknown) => void) | undefined): void {
    this.#told = underway
  }

  throwIfGivenUp(): void {
    if (this.#given !== undefined) throw this.signal.reason
  }

  /** Once: what comes later changes nothing. */
  giveUp(reason: unknown): void {
    if (this.#given !== undefined) return
    this.#given = { reason }
    const told = this.#told
    this.#told = undefined
    told?.(reason) // first: who hears of it by the signal may still act
    this.#controller?.abort(reason)
  }
}
