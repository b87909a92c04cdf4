/** The stream from the process. It comes again by itself, ever slower, and begins with a `hello` each time. */
export class Link {
  #socket
  #wait = 500
  #asked = new Map()
  #last = 0
  #timer
  isStopped = false

  constructor({ frame, state }) {
    this.frame = frame
    this.state = state
    document.addEventListener('visibilitychange', () => this.send({ type: 'view', hidden: document.hidden }))
  }

  open() {
    const socket = new WebSocket(`ws://${location.host}/live`)
    this.#socket = socket
    socket.addEventListener('open', () => {
      this.#wait = 500
      if (document.hidden) this.send({ type: 'view', hidden: true })
    })
    socket.addEventListener('message', ({ data }) => this.#take(data))
    socket.addEventListener('close', () => this.#lost())
  }

  send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame))
  }

  /** Asks the process; rejects with what it says against it, or when it is away. */
  ask(what, more = {}) {
    this.#last += 1
    const re = this.#last
    return new Promise((resolve, reject) => {
      if (this.#socket?.readyState !== WebSocket.OPEN) return reject(new Error('The process is away.'))
      this.#asked.set(re, { resolve, reject })
      this.send({ type: 'ask', re, what, ...more })
    })
  }

  #take(text) {
    const frame = JSON.parse(text)
    if (frame.type === 'answer') {
      const waiting = this.#asked.get(frame.re)
      this.#asked.delete(frame.re)
      if (frame.error === undefined) waiting?.resolve(frame.value)
      else waiting?.reject(new Error(frame.error))
      return
    }
    if (frame.type === 'hello') {
      this.isStopped = false
      this.state('live')
    }
    if (frame.type === 'bye') {
      this.isStopped = frame.reason === 'system stopped'
      this.state(this.isStopped ? 'stopped' : 'away')
    }
    this.frame(frame, text)
  }

  #lost() {
    for (const { reject } of this.#asked.values()) reject(new Error('The process is away.'))
    this.#asked.clear()
    if (!this.isStopped) this.state('away')
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.open(), this.#wait)
    this.#wait = Math.min(this.#wait * 2, 15_000)
    void this.#lookWhy()
  }

  /** A process that came up in the place of the one that was lost does not know this page. */
  async #lookWhy() {
    const status = await fetch('/', { method: 'HEAD' }).then(
      (response) => response.status,
      () => 0,
    )
    if (status === 401) this.state('locked')
  }
}
