/** A promise that knows whether anybody waits for it; a rejection that nobody takes is handed over, not unhandled. */
export class WatchedPromise<T> extends Promise<T> {
  #isTaken = false

  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  /** `untaken` is told of an error when its turn is over and nobody has asked. */
  static of<T>(promise: Promise<T>, untaken: (error: unknown) => void): WatchedPromise<T> {
    const watched = new WatchedPromise<T>((resolve, reject) => {
      promise.then(resolve, (error: unknown) => {
        reject(error)
        setImmediate(() => watched.#isTaken || untaken(error))
      })
    })
    watched.#handOver()
    return watched
  }

  // oxlint-disable-next-line unicorn/no-thenable -- `await` calls it too, because the constructor is not Promise itself
  override then<A = T, B = never>(
    onValue?: ((value: T) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#isTaken = true
    return super.then(onValue, onError)
  }

  #handOver(): void {
    super.then(undefined, () => {})
  }
}
