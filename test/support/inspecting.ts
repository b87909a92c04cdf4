import { request, type IncomingHttpHeaders } from 'node:http'
import { inspector, type InspectorOptions } from 'rootcatch/inspect'
import { start, type StartOptions, type System } from 'rootcatch'
import { WebSocket } from 'ws'

type Root = Parameters<typeof start>[0]

/** A system with its inspector on a free port, silent. */
export async function inspected(
  root: Root,
  options: InspectorOptions = {},
  more: Omit<StartOptions, 'inspect'> = {},
): Promise<{ readonly system: System; readonly url: URL; cookie(): Promise<string> }> {
  const inspect = inspector({ port: 0, announce: false, ...options })
  const system = await start(root, { catch: () => ({ decision: 'stop' }) as never, ...more, inspect })
  const url = new URL(handleOf(system).url)
  return { system, url, cookie: () => enter(system) }
}

export function handleOf({ inspector: handle }: System): NonNullable<System['inspector']> {
  if (handle === undefined) throw new Error('The system was started without an inspector.')
  return handle
}

/** Goes in by a new link; gives the cookie. */
export async function enter(system: System): Promise<string> {
  const { status, headers } = await ask(handleOf(system).link())
  const [cookie] = headers['set-cookie'] ?? []
  if (status !== 303 || cookie === undefined) throw new Error(`The link was answered with ${status}.`)
  return cookie.slice(0, cookie.indexOf(';'))
}

export interface Answered {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** A request as anybody can make it: `fetch` would not send a foreign Host. */
export function ask(
  url: string | URL,
  given: {
    readonly method?: string
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: string
    /** Sent as it is. */
    readonly path?: string
  } = {},
): Promise<Answered> {
  const { hostname, port, pathname, search } = new URL(url)
  const { method = 'GET', headers = {}, body, path = pathname + search } = given
  return new Promise((resolve, reject) => {
    const sent = request({ agent: false, hostname, port, path, method, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** An upgrade: 101 if it was taken, and the socket is then closed. */
export function upgrade(url: string | URL, headers: Readonly<Record<string, string>>): Promise<number> {
  const socket = new WebSocket(String(url).replace(/^http/, 'ws'), { headers })
  return new Promise((resolve, reject) => {
    socket.on('open', () => {
      socket.close()
      resolve(101)
    })
    socket.on('unexpected-response', (_request, response) => {
      resolve(response.statusCode ?? 0)
      socket.terminate()
    })
    socket.on('error', (error) => reject(error))
  })
}

export interface Frame {
  readonly type: string
  readonly [key: string]: any
}

/** A page without a browser: its frames, and a wait for one. */
export class Looker {
  readonly frames: Frame[] = []
  readonly socket: WebSocket
  #waiting: (() => void)[] = []

  private constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data) => {
      this.frames.push(JSON.parse(String(data)) as Frame)
      for (const look of this.#waiting.splice(0)) look()
    })
  }

  static async at(system: System): Promise<Looker> {
    const cookie = await enter(system)
    const { url } = handleOf(system)
    const { host, origin } = new URL(url)
    const looker = new Looker(new WebSocket(`ws://${host}/live`, { headers: { cookie, origin } }))
    await looker.until((frame) => frame.type === 'hello')
    return looker
  }

  /** The first frame that fits, of those that came or will come. */
  async until(fits: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const found = this.frames.find(fits)
      if (found !== undefined) return found
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  send(frame: object): void {
    this.socket.send(JSON.stringify(frame))
  }

  async ask(what: string, more: object = {}): Promise<Frame> {
    const re = this.frames.length + 1_000 + Math.floor(Math.random() * 1e6)
    this.send({ type: 'ask', re, what, ...more })
    return this.until((frame) => frame.type === 'answer' && frame['re'] === re)
  }

  /** The latest row of a node. */
  row(path: string): Frame | undefined {
    const rows = this.frames.flatMap((frame) => (frame['nodes'] as Frame[] | undefined) ?? [])
    return rows.findLast((row) => row['path'] === path)
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.socket.once('close', resolve))
    this.socket.close()
    await closed
  }
}
