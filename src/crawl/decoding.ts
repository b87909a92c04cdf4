import type { Transform } from 'node:stream'
// By its default: a name that an old Node lacks would fail before node-version.ts has spoken.
import zlib, {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  gunzipSync,
} from 'node:zlib'

/** What a body is too large for; it becomes a `BodyTooLargeError` where its URL is known. */
export class DecodedTooLarge extends Error {}

/** A body is not what its `content-encoding` says; it becomes a `ProtocolError`. */
export class BadEncoding extends Error {}

/** The time of the try was over, or nobody wants the page any more. */
export class DecodingCut extends Error {}

interface Limits {
  readonly most: number
  readonly begins: (cut: () => void) => void
}

/** What we ask servers for. */
export const acceptEncoding = 'gzip, deflate, br, zstd'

/** More of them on one body are no economy but an attack. */
const MOST_ENCODINGS = 5

/** Bodies up to this size are decoded on the spot: a thread costs more than the work. */
const SMALL = 16 * 1024
const SMALL_DECODED = 256 * 1024

/**
 * Takes the encodings off a body, the last one first. No stage ever gives more than `most` bytes; `begins` is told how to
 * cut one short that takes a thread.
 */
export function decodeBody(
  body: Buffer,
  contentEncoding: string | undefined,
  most: number,
  begins: (cut: () => void) => void,
): Buffer | Promise<Buffer> {
  if (contentEncoding === undefined && body.length <= most) return body
  return decodeAll(body, contentEncoding, { most, begins })
}

async function decodeAll(body: Buffer, contentEncoding: string | undefined, limits: Limits): Promise<Buffer> {
  const encodings = readEncodings(contentEncoding)
  if (encodings.length > MOST_ENCODINGS) {
    throw new BadEncoding(`${encodings.length} encodings on one body, ${MOST_ENCODINGS} are allowed`)
  }
  let decoded = body
  for (const encoding of encodings.toReversed()) {
    if (decoded.length > 0) decoded = await decodeOnce(decoded, encoding, limits)
  }
  if (decoded.length > limits.most) throw new DecodedTooLarge()
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

/** What a decoder gives at once: few turns of the event loop, and each short. */
const chunkSize = 64 * 1024

/** Some servers send deflate without its zlib frame, whose first byte always says 8 in its low half. */
const inflateEither = (body: Buffer): Transform =>
  ((body[0] ?? 0) & 0x0f) === 8 ? createInflate({ chunkSize }) : createInflateRaw({ chunkSize })

const decoders: ReadonlyMap<string, (body: Buffer) => Transform> = new Map<string, (body: Buffer) => Transform>([
  ['gzip', () => createGunzip({ chunkSize })],
  ['x-gzip', () => createGunzip({ chunkSize })],
  ['deflate', inflateEither],
  ['br', () => createBrotliDecompress({ chunkSize })],
  // HTTP allows a window of 8 MB; a larger one is memory that a stranger asks for.
  ['zstd', () => zlib.createZstdDecompress({ chunkSize, params: { [constants.ZSTD_d_windowLogMax]: 23 } })],
])

async function decodeOnce(body: Buffer, encoding: string, limits: Limits): Promise<Buffer> {
  const decoder = decoders.get(encoding)
  if (decoder === undefined) throw new BadEncoding(`unknown content encoding ${JSON.stringify(encoding.slice(0, 50))}`)
  const small = encoding === 'gzip' && body.length <= SMALL ? tryAtOnce(body) : undefined
  if (small !== undefined && small.length <= limits.most) return small
  try {
    return await drain(decoder(body), body, limits)
  } catch (error) {
    if (error instanceof DecodedTooLarge || error instanceof DecodingCut) throw error
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

/** All that a decoder gives; it is stopped where it stands when that is too much, or takes too long. */
function drain(decoder: Transform, body: Buffer, { most, begins }: Limits): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    decoder.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > most) decoder.destroy(new DecodedTooLarge())
      else chunks.push(chunk)
    })
    decoder.once('end', () => resolve(Buffer.concat(chunks)))
    decoder.once('error', reject)
    begins(() => void decoder.destroy(new DecodingCut()))
    if (!decoder.destroyed) decoder.end(body)
  })
}
