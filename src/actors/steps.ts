interface Step {
  readonly run: () => void
  next: Step | undefined
}

/** One event at a time: what an order causes at once waits until the step that gave it is over. */
export class Steps {
  #isBusy = false
  /** Those that wait. No array: emptied, it would begin to grow anew with the next one. */
  #first: Step | undefined
  #last: Step | undefined

  /** Does it now, or once what is under way is over. It must not throw. */
  do(run: () => void): void {
    if (this.#isBusy) return this.#add(run)
    this.#isBusy = true
    run()
    while (this.#first !== undefined) {
      const step = this.#first
      this.#first = step.next
      if (step.next === undefined) this.#last = undefined
      else step.next = undefined // one that is old by then would keep all that come after it
      step.run()
    }
    this.#isBusy = false
  }

  #add(run: () => void): void {
    const step: Step = { run, next: undefined }
    if (this.#last === undefined) this.#first = step
    else this.#last.next = step
    this.#last = step
  }
}
