import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { WebSocket } from 'ws'
import type { Inspected, OpenInspector } from '../inspection.ts'
import { describeThrown } from '../thrown.ts'
import { act } from './act.ts'
import { Gate, hashOf, isSame, type Verdict } from './gate.ts'
import { Hub } from './hub.ts'
import { StatelyFeed } from './official.ts'
import type { InspectorPolicy } from './options.ts'
import { Recording } from './recording.ts'
import { RemoteProcess } from './remote.ts'
import { PageServer } from './server.ts'
import { Showing } from './showing.ts'
import { helloOf } from './hello.ts'
import { Viewer } from './viewer.ts'

/** Opens the inspector of one system. It never rejects: what does not work is told, and the system runs without it. */
export async function openInspector(inspected: Inspected, policy: InspectorPolicy): Promise<OpenInspector> {
  const open = new Open(inspected, policy)
  await open.listen()
  return open
}

const STUCK = 8 * 1024 * 1024
const GREY_FOR = 10_000

class Open implements OpenInspector {
  readonly #inspected: Inspected
  readonly #policy: InspectorPolicy
  readonly #showing: Showing
  readonly #gate: Gate
  readonly #hub: Hub
  readonly #server: PageServer
  readonly #viewers = new Set<Viewer>()
  readonly #control: string | undefined
  readonly #feeds = new Set<StatelyFeed>()
  /** Not the link's: it lives as long as the system, and can only write. */
  readonly #acceptToken: string | undefined
  readonly #prefix = `rc-${randomBytes(3).toString('hex')}`
  #remotes = 0
  readonly #goings = new Set<NodeJS.Timeout>()
  #address: string | undefined
  #told = 0
  #hasFailed = false

  constructor(inspected: Inspected, policy: InspectorPolicy) {
    this.#inspected = inspected
    this.#policy = policy
    this.#showing = new Showing(policy, process.env)
    this.#gate = new Gate(
      policy.allowedHosts,
      () => performance.now(),
      () => this.#announce(this.link()),
    )
    this.#hub = new Hub(inspected, policy, this.#showing, (error) => this.#failed(error))
    this.#acceptToken = policy.accept && (policy.accept.token ?? randomBytes(24).toString('base64url'))
    this.#control = inspected.act && randomBytes(24).toString('base64url')
    const { act: hands } = inspected
    this.#server = new PageServer(this.#gate, {
      live: (socket) => this.#join(socket),
      stately: policy.stately,
      statelyLive: (socket, under) => this.#feed(socket, under),
      accepts: policy.accept && ((request) => this.#accepts(request)),
      accept: (socket) => this.#accept(socket),
      recording: () => this.#recording(),
      act:
        hands &&
        ((request, body) =>
          act(request, body, hands, this.#control ?? '', (action, target) =>
            inspected.tell('inspector.used', { action, target }),
          )),
      failed: (error) => this.#failed(error),
    })
  }

  get url(): string {
    return this.#address ?? ''
  }

  get viewers(): number {
    return this.#told
  }

  get observing(): boolean {
    return this.#hub.isObserving || this.#feeds.size > 0
  }

  get acceptUrl(): string | undefined {
    if (this.#acceptToken === undefined || this.#address === undefined) return undefined
    return `${this.#address.replace(/^http/, 'ws')}in?token=${this.#acceptToken}`
  }

  link(): string {
    return `${this.url}?token=${this.#gate.newToken()}`
  }

  async listen(): Promise<void> {
    const { host, port, payloads } = this.#policy
    try {
      const own = await this.#server.listen(host, port)
      const shown = host === 'localhost' || isAny(host) ? '127.0.0.1' : host
      this.#address = `http://${shown.includes(':') ? `[${shown}]` : shown}:${own}/`
      const taken = port !== 0 && own !== port ? ` (port ${port} is taken)` : ''
      this.#announce(this.link(), taken)
      if (payloads === 'full')
        say('the inspector shows payloads unredacted: whoever has its link sees every secret in them')
      this.#inspected.tell('inspector.started', { url: this.url })
    } catch (error) {
      this.#failed(error)
    }
  }

  async close(): Promise<void> {
    if (this.#hub.isObserving) this.#hub.flush()
    for (const viewer of this.#viewers) viewer.bye('system stopped')
    if (this.#viewers.size > 0) await new Promise((resolve) => setTimeout(resolve, 50)) // the last words are on their way
    for (const feed of this.#feeds) feed.close()
    this.#feeds.clear()
    for (const going of this.#goings) clearTimeout(going)
    await this.#server.close()
  }

  #join(socket: WebSocket): void {
    const viewer: Viewer = new Viewer(this.#hub, socket, this.#control, () => this.#count())
    this.#viewers.add(viewer)
    socket.on('close', () => {
      this.#viewers.delete(viewer)
      this.#count()
    })
    this.#count()
  }

  #feed(socket: WebSocket, under: string): void {
    const { isShown } = this.#hub.book
    const send = (message: string): void => {
      if (socket.readyState !== socket.OPEN) return
      if (socket.bufferedAmount > STUCK) return socket.terminate()
      socket.send(message)
    }
    const options = { inspected: this.#inspected, showing: this.#showing, isShown, under, send }
    const feed = new StatelyFeed(options, this.#prefix)
    this.#feeds.add(feed)
    socket.on('close', () => {
      feed.close()
      this.#feeds.delete(feed)
      this.#count()
    })
    this.#count()
  }

  /** Who sends must know the token; a browser's page must be one of those that were named. */
  #accepts(request: IncomingMessage): Verdict {
    const { origin } = request.headers
    const { origins = [] } = this.#policy.accept ?? {}
    if (origin !== undefined && !origins.includes(origin)) return { status: 403, text: 'Not from there.' }
    const token = new URLSearchParams((request.url ?? '').split('?')[1]).get('token') ?? ''
    if (!isSame(hashOf(this.#acceptToken ?? ''), token)) return { status: 401, text: 'It needs the token.' }
    return { in: true }
  }

  #accept(socket: WebSocket): void {
    this.#remotes += 1
    const remote = new RemoteProcess(this.#hub, this.#remotes)
    this.#hub.remotes.add(remote)
    if (this.#hub.isObserving) remote.fill()
    socket.on('message', (data, isBinary) => {
      if (isBinary) remote.ignored += 1
      else remote.take(String(data))
    })
    socket.on('close', () => {
      remote.leave()
      const going = setTimeout(() => {
        this.#goings.delete(going)
        this.#hub.remotes.delete(remote)
        remote.gone()
      }, GREY_FOR)
      this.#goings.add(going.unref())
    })
  }

  #count(): void {
    this.#record()
    const viewers = [...this.#viewers].filter(({ isHere }) => isHere).length + this.#feeds.size
    if (viewers === this.#told) return
    this.#told = viewers
    this.#inspected.tell('inspector.viewed', { viewers })
  }

  /** What the one who looks for the longest was shown. */
  #record(): void {
    for (const viewer of this.#viewers) if (!viewer.isHere) viewer.recording = undefined
    const [longest] = [...this.#viewers].filter(({ isHere }) => isHere)
    if (longest !== undefined) longest.recording ??= new Recording(this.#picture())
  }

  #recording(): string {
    for (const { recording } of this.#viewers) if (recording !== undefined) return recording.text()
    const nobody = { tick: () => {} }
    this.#hub.join(nobody) // without a viewer nothing is kept that could be read
    const picture = this.#picture()
    this.#hub.leave(nobody)
    return `${picture}\n`
  }

  #picture(): string {
    return helloOf(this.#hub, undefined, () => {}).text.frame
  }

  #announce(link: string, note = ''): void {
    const { announce } = this.#policy
    if (announce === false) return
    if (announce === undefined) return say(`inspector of ${this.#inspected.name}${note}: ${link}`)
    try {
      announce(link)
    } catch (error) {
      this.#failed(error)
    }
  }

  /** One line, the first time; an event each time. */
  #failed(error: unknown): void {
    if (!this.#hasFailed) say(`inspector failed: ${this.#showing.text(describeThrown(error))}`)
    this.#hasFailed = true
    this.#inspected.tell('inspector.failed', { error })
  }
}

const isAny = (host: string): boolean => host === '0.0.0.0' || host === '::'

function say(line: string): void {
  process.stderr.write(`rootcatch: ${line}\n`)
}
