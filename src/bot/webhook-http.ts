import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Update } from 'grammy/types'

/** Far above any update; larger bodies are nobody's update and not read. */
const MOST_BYTES = 1_048_576

/** A request that is answered with this status, and handled no further. */
export class Refusal {
  readonly status: number
  readonly said: string
  constructor(status: number, said: string) {
    this.status = status
    this.said = said
  }
}

/** What grammY's adapters make of a request. */
export interface RequestHandler {
  readonly update: Update | Promise<Update>
  readonly header?: string
  readonly end?: () => void
  readonly respond: (json: string) => unknown
  readonly unauthorized: () => unknown
  readonly handlerReturn?: Promise<unknown>
}

/** How an update is taken out of a request of `node:http`. */
export function httpAdapter(request: IncomingMessage, response: ServerResponse): RequestHandler {
  const secret = request.headers['x-telegram-bot-api-secret-token']
  return {
    get update() {
      return readUpdate(request)
    },
    ...(typeof secret === 'string' ? { header: secret } : {}),
    end: () => void response.end(),
    respond: (json: string) => void response.writeHead(200, { 'content-type': 'application/json' }).end(json),
    unauthorized: () => refuse(request, response, new Refusal(401, 'secret token is wrong')),
  }
}

/** Answers a request whose body, or the rest of it, nobody will read. */
export function refuse(request: IncomingMessage, response: ServerResponse, { status, said }: Refusal): void {
  if (response.headersSent || response.destroyed) return
  const isRead = request.complete
  const headers = { 'content-type': 'text/plain', ...(status === 405 ? { allow: 'POST' } : {}) }
  response.writeHead(status, isRead ? headers : { ...headers, connection: 'close' }).end(said)
}

async function readUpdate(request: IncomingMessage): Promise<Update> {
  const { method, headers } = request
  if (method !== 'POST') throw new Refusal(405, 'use POST')
  const type = headers['content-type']
  if (type !== undefined && !/^application\/json\b/i.test(type)) throw new Refusal(415, 'use application/json')
  if (Number(headers['content-length']) > MOST_BYTES) throw tooLarge
  const update = readJson(await readBody(request)) as Update | null | undefined
  if (Number.isSafeInteger(update?.update_id)) return update as Update
  throw new Refusal(400, 'this is no update')
}

const tooLarge = new Refusal(413, 'this is too large for an update')

function readBody(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const read = (chunk: Buffer): void => {
      size += chunk.length
      if (size <= MOST_BYTES) return void chunks.push(chunk)
      request.off('data', read).pause()
      reject(tooLarge)
    }
    request.on('data', read)
    request.once('end', () => resolve(Buffer.concat(chunks).toString()))
    request.once('error', () => reject(new Refusal(400, 'the request broke off')))
    request.once('close', () => reject(new Refusal(400, 'the request broke off')))
  })
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
