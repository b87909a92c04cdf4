import type { Socket } from 'node:net'
import { cut, oneLine } from '../evidence.ts'
import { basicAuthorization } from './url-identity.ts'

/** A proxy is away, or refuses us: another one may do. It becomes a `ProxyError` where the URL is known. */
export class ProxyAway extends Error {}

/** The proxy is there, and has found no way to the target; it becomes a `ConnectionError`. */
export class TargetAway extends Error {}

/** What a proxy is told about who asks; undefined without a name in its URL. */
export function proxyAuthorization(proxy: URL): string | undefined {
  return proxy.username === '' && proxy.password === '' ? undefined : basicAuthorization(proxy)
}

/** Longer answers to a CONNECT are no answers. */
const MOST_HEAD = 16 * 1024

/** Asks a proxy for a way to a target, `host:port`, over a connection to it that stands. */
export function openTunnel(
  socket: Socket,
  { target, proxy, timeout }: { readonly target: string; readonly proxy: URL; readonly timeout: number },
  callback: (error: Error | null) => void,
): void {
  const authorization = proxyAuthorization(proxy)
  const lines = [`CONNECT ${target} HTTP/1.1`, `Host: ${target}`]
  if (authorization !== undefined) lines.push(`Proxy-Authorization: ${authorization}`)
  let head = Buffer.alloc(0)

  const end = (error: Error | null): void => {
    socket.off('data', onData).off('error', onError).off('close', onClose).off('timeout', onTimeout).setTimeout(0)
    if (error === null) socket.pause()
    else socket.on('error', ignore).destroy()
    callback(error)
  }
  const onData = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk])
    const at = head.indexOf('\r\n\r\n')
    if (at === -1) return head.length > MOST_HEAD ? end(new ProxyAway('its answer to CONNECT has no end')) : undefined
    if (head.length > at + 4) return end(new ProxyAway('it spoke before the target did'))
    return end(refusalOf(head.toString('latin1', 0, at)))
  }
  const onError = (error: Error): void => end(new ProxyAway(error.message, { cause: error }))
  const onClose = (): void => end(new ProxyAway('it closed the connection'))
  const onTimeout = (): void => end(new ProxyAway('it did not answer CONNECT'))

  socket.on('data', onData).on('error', onError).on('close', onClose).setTimeout(timeout, onTimeout)
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
}

function refusalOf(head: string): Error | null {
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1] ?? 0)
  if (status >= 200 && status < 300) return null
  const line = oneLine(cut(head.split('\r\n', 1)[0] ?? '', 100))
  return status >= 502 && status <= 504
    ? new TargetAway(`the proxy answered ${line}`)
    : new ProxyAway(`it answered ${line}`)
}

const ignore = (): void => {}
