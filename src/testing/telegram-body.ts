import type { IncomingMessage } from 'node:http'

/** A file that a bot sent. */
export interface FakeFile {
  /** The field of the form; other fields say `attach://<field>`. */
  readonly field: string
  readonly name: string
  readonly size: number
  /** Of all its bytes, in hex. */
  readonly sha256: string
  /** Its first bytes, at most 64 KiB of them, so that a test may send gigabytes. */
  readonly head: Uint8Array
}

export interface FakeBody {
  readonly payload: Readonly<Record<string, unknown>>
  readonly files: readonly FakeFile[]
}

const MOST_HEAD = 65_536
const HEAD_END = Buffer.from('\r\n\r\n')

/** Reads what a client sent, in whichever of the ways that Telegram takes. Rejects when the connection breaks. */
export async function readBody(request: IncomingMessage, query: URLSearchParams): Promise<FakeBody> {
  const type = request.headers['content-type'] ?? ''
  const boundary = /^multipart\/form-data;.*boundary="?([^";]+)/i.exec(type)?.[1]
  if (boundary !== undefined) return readForm(request, boundary)
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString()
  if (type.startsWith('application/json')) return { payload: text === '' ? {} : JSON.parse(text), files: [] }
  return { payload: fromParameters([...query, ...new URLSearchParams(text)]), files: [] }
}

async function readForm(request: IncomingMessage, boundary: string): Promise<FakeBody> {
  const form = new Form(boundary)
  for await (const chunk of request) form.write(chunk as Buffer)
  return { payload: fromParameters(form.fields), files: form.files }
}

/** A form as it arrives: of a file that is larger than memory, only the head stays. */
class Form {
  readonly fields: [string, string][] = []
  readonly files: FakeFile[] = []
  readonly #delimiter: Buffer
  #rest: Buffer = Buffer.from('\r\n') // what stands in front of every delimiter but the first
  #part: Part | undefined
  #isHead = false

  constructor(boundary: string) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`)
  }

  write(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk])
    while (this.#isHead ? this.#readHead() : this.#readContent());
  }

  #readHead(): boolean {
    const end = this.#rest.indexOf(HEAD_END)
    if (end < 0) return false
    this.#part = new Part(this.#rest.subarray(0, end).toString())
    this.#rest = this.#rest.subarray(end + HEAD_END.length - 2) // an empty part ends with its own line break
    this.#part.skip = 2
    this.#isHead = false
    return true
  }

  #readContent(): boolean {
    const at = this.#rest.indexOf(this.#delimiter)
    const content = at < 0 ? Math.max(0, this.#rest.length - this.#delimiter.length) : at
    this.#part?.write(this.#rest.subarray(0, content))
    this.#rest = this.#rest.subarray(at < 0 ? content : at + this.#delimiter.length)
    if (at < 0) return false
    this.#part?.end(this.fields, this.files)
    this.#part = undefined
    this.#isHead = true
    return true
  }
}

class Part {
  skip = 0
  readonly #field: string
  readonly #name: string | undefined
  readonly #hash = process.getBuiltinModule('node:crypto').createHash('sha256')
  readonly #head: Buffer[] = []
  #kept = 0
  #size = 0

  constructor(head: string) {
    this.#field = /[;\s]name="?([^";\r\n]+)/i.exec(head)?.[1] ?? ''
    this.#name = /filename="?([^";\r\n]+)/i.exec(head)?.[1]
  }

  write(bytes: Buffer): void {
    const content = bytes.subarray(this.skip)
    this.skip -= Math.min(this.skip, bytes.length)
    this.#size += content.length
    this.#hash.update(content)
    const most = this.#name === undefined ? Infinity : MOST_HEAD
    if (this.#kept >= most) return
    const kept = Buffer.from(content.subarray(0, most - this.#kept))
    this.#kept += kept.length
    this.#head.push(kept)
  }

  end(fields: [string, string][], files: FakeFile[]): void {
    const head = Buffer.concat(this.#head)
    if (this.#name === undefined) fields.push([this.#field, head.toString()])
    else {
      const sha256 = this.#hash.digest('hex')
      files.push({ field: this.#field, name: this.#name, size: this.#size, sha256, head })
    }
  }
}

/** Forms and queries have texts only; Telegram reads numbers, truths and JSON out of them. */
function fromParameters(entries: readonly (readonly [string, string])[]): Record<string, unknown> {
  return Object.fromEntries(entries.map(([key, value]) => [key, isProse.test(key) ? value : fromText(value)]))
}

const isProse = /^(?:text|caption)$/

function fromText(text: string): unknown {
  if (!/^(?:-?\d{1,15}|true|false|[[{].*[\]}])$/s.test(text)) return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
