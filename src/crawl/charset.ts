import { isUtf8 } from 'node:buffer'

/** The text of a body: by the charset that was asked for, its byte order mark, its header, its `<meta>`, or its bytes. */
export function decodeText(body: Uint8Array, contentType: string | undefined, encoding?: string): string {
  const mark = markOf(body)
  const charset =
    encoding ?? mark?.charset ?? charsetOfHeader(contentType) ?? charsetOfMeta(body) ?? charsetOfBytes(body)
  const bytes = mark !== undefined && mark.charset === charset ? body.subarray(mark.length) : body
  if (charset === 'utf-8') return utf8(bytes)
  if (charset === 'windows-1252') return windows1252(bytes)
  return new TextDecoder(charset).decode(bytes)
}

const marks: readonly { readonly charset: string; readonly bytes: readonly number[] }[] = [
  { charset: 'utf-8', bytes: [0xef, 0xbb, 0xbf] },
  { charset: 'utf-16be', bytes: [0xfe, 0xff] },
  { charset: 'utf-16le', bytes: [0xff, 0xfe] },
]

function markOf(body: Uint8Array): { readonly charset: string; readonly length: number } | undefined {
  const [first = 0] = body
  if (first !== 0xef && first !== 0xfe && first !== 0xff) return undefined
  const mark = marks.find(({ bytes }) => bytes.every((byte, index) => body[index] === byte))
  return mark === undefined ? undefined : { charset: mark.charset, length: mark.bytes.length }
}

function charsetOfHeader(contentType: string | undefined): string | undefined {
  return known(/;\s*charset\s*=\s*["']?([\w:.-]{1,40})/i.exec(contentType?.slice(0, 1000) ?? '')?.[1])
}

/** Where a page may say it at the latest. */
const META_WITHIN = 1024

function charsetOfMeta(body: Uint8Array): string | undefined {
  const start = latin1(body.subarray(0, META_WITHIN)).replaceAll(/<!--[^]*?(?:-->|$)/g, '')
  const label = /<meta\b[^>]{0,500}?\bcharset\s*=\s*["']?\s*([\w:.-]{1,40})/i.exec(start)?.[1]
  const declared = label ?? /^\s*<\?xml\b[^>]{0,200}?\bencoding\s*=\s*["']([\w:.-]{1,40})/i.exec(start)?.[1]
  const charset = known(declared)
  return charset?.startsWith('utf-16') === true ? 'utf-8' : charset // whoever could read it there reads no UTF-16
}

function charsetOfBytes(body: Uint8Array): string {
  return isUtf8(body) ? 'utf-8' : 'windows-1252'
}

/** The charset of a label, where the Encoding Standard knows one; what pages call by other names is passed over. */
function known(label: string | undefined): string | undefined {
  if (label === undefined || utf8Labels.has(label)) return label && 'utf-8'
  try {
    return new TextDecoder(label).encoding
  } catch {
    return undefined
  }
}

/** As nearly all pages write it: to look up a charset takes as long as to decode a page. */
const utf8Labels: ReadonlySet<string> = new Set(['utf-8', 'UTF-8', 'utf8'])

const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
const utf8 = (bytes: Uint8Array): string => bufferOf(bytes).toString('utf8')
const latin1 = (bytes: Uint8Array): string => bufferOf(bytes).toString('latin1')

/** What stands at 0x80 to 0x9f. By hand: `TextDecoder` took this charset for Latin-1 in some releases of Node 22 and 23. */
const special = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ'

function windows1252(bytes: Uint8Array): string {
  return latin1(bytes).replaceAll(
    /[\u0080-\u009f]/g,
    (character) => special[character.charCodeAt(0) - 0x80] ?? character,
  )
}
