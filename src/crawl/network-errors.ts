import { isError, peek } from '../evidence.ts'
import { BadEncoding, DecodedTooLarge } from './decoding.ts'
import {
  BlockedAddressError,
  BodyTooLargeError,
  ConnectionError,
  ConnectTimeoutError,
  DnsError,
  type NetworkError,
  ProtocolError,
  ProxyError,
  ResponseTimeoutError,
  type TryPoint,
} from './errors.ts'
import { ExchangeEnded, type Progress } from './exchange.ts'
import { BlockedAddress } from './guard.ts'
import { ProxyAway, TargetAway } from './tunnel.ts'

/** What a sentence about an error needs to know of the try. */
export interface TryFacts {
  readonly at: TryPoint
  readonly progress: Progress
  readonly proxy: string | undefined
  readonly timeout: number
  readonly connectTimeout: number
  readonly bodyLimit: { readonly wire: number; readonly decoded: number }
}

/** The error of ours that says what a thing thrown by undici, Node or ourselves means for the try. */
export function classify(thrown: unknown, facts: TryFacts): NetworkError {
  const { at, bodyLimit } = facts
  const error = firstOf(thrown)
  if (error instanceof ExchangeEnded) return classifyEnd(error, facts)
  if (error instanceof BlockedAddress) return new BlockedAddressError(at, error.address)
  if (error instanceof ProxyAway) return new ProxyError(at, facts.proxy ?? '', error)
  if (error instanceof TargetAway) return new ConnectionError('connection-failed', at, error)
  if (error instanceof DecodedTooLarge) return new BodyTooLargeError(at, 'decoded', bodyLimit.decoded)
  if (error instanceof BadEncoding) return new ProtocolError('encoding', at, error)
  return classifyCode(error, facts)
}

function classifyEnd(error: ExchangeEnded, { at, progress, proxy, ...facts }: TryFacts): NetworkError {
  if (error.why === 'wire') return new BodyTooLargeError(at, 'wire', facts.bodyLimit.wire)
  if (error.why !== 'connect-timeout') return new ResponseTimeoutError(at, facts.timeout, progress.bytes)
  return proxy === undefined
    ? new ConnectTimeoutError(at, facts.connectTimeout)
    : new ProxyError(at, proxy, 'no connection in connectTimeout')
}

function classifyCode(error: unknown, { at, progress, ...facts }: TryFacts): NetworkError {
  const code = codeOf(error)
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || (code === 'ETIMEDOUT' && !progress.connected)) {
    return new ConnectTimeoutError(at, facts.connectTimeout, { cause: error })
  }
  if (dnsCodes.has(code)) return new DnsError(at, error)
  if (code === 'ECONNREFUSED') return new ConnectionError('connection-refused', at, error)
  if (isTls(code)) return new ProtocolError('tls', at, error)
  if (isProtocol(code) || peek(error, 'name') === 'HTTPParserError') return new ProtocolError('protocol', at, error)
  if (code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') return new ConnectionError('truncated', at, error)
  if (resetCodes.has(code)) {
    const isCut = progress.status !== undefined && code !== 'ECONNRESET'
    return new ConnectionError(isCut ? 'truncated' : 'connection-reset', at, error)
  }
  return new ConnectionError('connection-failed', at, error)
}

const dnsCodes: ReadonlySet<string> = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EAI_NODATA',
  'EAI_NONAME',
  'ENODATA',
  'ESERVFAIL',
])
const resetCodes: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'EPIPE',
  'ECONNABORTED',
  'UND_ERR_SOCKET',
  'UND_ERR_DESTROYED',
  'UND_ERR_CLOSED',
  'ERR_HTTP2_STREAM_CANCEL',
  'ERR_HTTP2_SESSION_ERROR',
])

function isTls(code: string): boolean {
  return /^(?:ERR_TLS_|ERR_SSL_|CERT_|EPROTO$|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE)/.test(
    code,
  )
}

function isProtocol(code: string): boolean {
  return /^(?:HPE_|UND_ERR_HEADERS_OVERFLOW|UND_ERR_INVALID_ARG|UND_ERR_NOT_SUPPORTED|ERR_HTTP2_|ERR_HTTP_|Z_)/.test(
    code,
  )
}

/** An attempt per address ends in one error with a list; they fail alike, so the first one tells. */
function firstOf(error: unknown): unknown {
  const list = peek(error, 'errors')
  const first: unknown = Array.isArray(list) ? list[0] : undefined
  return isError(first) ? first : error
}

function codeOf(error: unknown): string {
  const code = peek(error, 'code')
  if (typeof code === 'string' && code !== 'UND_ERR_INFO') return code
  const below = peek(error, 'cause')
  const inner = isError(below) ? peek(below, 'code') : undefined
  return typeof inner === 'string' ? inner : ''
}
