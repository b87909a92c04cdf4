import { promisify } from 'node:util'
import {
  brotliDecompress,
  constants,
  gunzip,
  gunzipSync,
  inflate,
  inflateRaw,
  zstdDecompress,
  type ZlibOptions,
  type ZstdOptions,
} from 'node:zlib'

/** What a body is too large for; it becomes a `BodyTooLargeError` where its URL is known. */
export class DecodedTooLarge extends Error {}

/** A body is not what its `content-encoding` says; it becomes a `ProtocolError`. */
export class BadEncoding extends Error {}

/** What we ask servers for. */
export const acceptEncoding = 'gzip, deflate, br, zstd'

/** More of them on one body are no economy but an attack. */
const MOST_ENCODINGS = 5

/** Bodies up to this size are decoded on the spot: a thread costs more than the work. */
const SMALL = 16 * 1024
const SMALL_DECODED = 256 * 1024

/** Takes the encodings off a body, the last one first. No stage ever gives more than `most` bytes. */
export function decodeBody(body: Buffer, contentEncoding: string | undefined, most: number): Buffer | Promise<Buffer> {
  if (contentEncoding === undefined && body.length <= most) return body
  return decodeAll(body, contentEncoding, most)
}

async function decodeAll(body: Buffer, contentEncoding: string | undefined, most: number): Promise<Buffer> {
  const encodings = readEncodings(contentEncoding)
  if (encodings.length > MOST_ENCODINGS) {
    throw new BadEncoding(`${encodings.length} encodings on one body, ${MOST_ENCODINGS} are allowed`)
  }
  let decoded = body
  for (const encoding of encodings.toReversed()) {
    if (decoded.length > 0) decoded = await decodeOnce(decoded, encoding, most)
  }
  if (decoded.length > most) throw new DecodedTooLarge()
  return decoded
}

function readEncodings(contentEncoding: string | undefined): readonly string[] {
  if (contentEncoding === undefined || contentEncoding === '') return []
  return contentEncoding
    .toLowerCase()
    .split(',', 1000)
    .map((part) => part.trim())
    .filter((part) => part !== '' && part !== 'identity')
}

type Options = ZlibOptions & ZstdOptions
type Decoder = (body: Buffer, options: Options) => Promise<Buffer>

const inflateZlib: Decoder = promisify(inflate)
const inflateBare: Decoder = promisify(inflateRaw)
const zstd: Decoder = promisify(zstdDecompress)

/** Some servers send deflate without its zlib frame, whose first byte always says 8 in its low half. */
const inflateEither: Decoder = (body, options) =>
  ((body[0] ?? 0) & 0x0f) === 8 ? inflateZlib(body, options) : inflateBare(body, options)

const decoders: ReadonlyMap<string, Decoder> = new Map<string, Decoder>([
  ['gzip', promisify(gunzip)],
  ['x-gzip', promisify(gunzip)],
  ['deflate', inflateEither],
  ['br', promisify(brotliDecompress)],
  // HTTP allows a window of 8 MB; a larger one is memory that a stranger asks for.
  ['zstd', (body, options) => zstd(body, { ...options, params: { [constants.ZSTD_d_windowLogMax]: 23 } })],
])

async function decodeOnce(body: Buffer, encoding: string, most: number): Promise<Buffer> {
  const decoder = decoders.get(encoding)
  if (decoder === undefined) throw new BadEncoding(`unknown content encoding ${JSON.stringify(encoding.slice(0, 50))}`)
  const small = encoding === 'gzip' && body.length <= SMALL ? tryAtOnce(body) : undefined
  if (small !== undefined && small.length <= most) return small
  try {
    return await decoder(body, { maxOutputLength: most })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw new DecodedTooLarge('', { cause: error })
    throw new BadEncoding(`${encoding}: ${(error as Error).message}`, { cause: error })
  }
}

/** Undefined where it is worth a thread after all; a body that is broken is told by the thread. */
function tryAtOnce(body: Buffer): Buffer | undefined {
  try {
    return gunzipSync(body, { maxOutputLength: SMALL_DECODED })
  } catch {
    return undefined
  }
}
