import { open, type FileHandle } from 'node:fs/promises'
import type { Json } from '../payload.ts'

const NEWLINE = 10
const TAIL = 64 * 1024

/** A file with a line of JSON for each item. What is written together is on its way to the disk together. */
export class JsonLines {
  readonly #file: FileHandle
  readonly #lasts: boolean
  #lines = ''
  #writing: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(file: FileHandle, lasts: boolean) {
    this.#file = file
    this.#lasts = lasts
  }

  /** Goes on behind what is there; a last line that a crash tore is cut off. `lasts`: writes survive a power loss. */
  static async open(path: string, lasts: boolean): Promise<JsonLines> {
    const file = await open(path, 'a+')
    await cutTornLine(file)
    return new JsonLines(file, lasts)
  }

  /** Resolves when the items are written. */
  write(items: readonly Json[]): Promise<void> {
    for (const item of items) this.#lines += `${JSON.stringify(item)}\n`
    this.#next ??= this.#writeAfter(this.#writing)
    return this.#next
  }

  async close(): Promise<void> {
    await (this.#next ?? this.#writing)?.catch(() => {}) // who wrote has been told
    await this.#file.close()
  }

  async #writeAfter(before: Promise<void> | undefined): Promise<void> {
    await before?.catch(() => {})
    await undefined // whatever comes in this turn is written with it
    const lines = this.#lines
    this.#lines = ''
    this.#writing = this.#next
    this.#next = undefined
    await this.#file.appendFile(lines)
    if (this.#lasts) await this.#file.datasync()
  }
}

async function cutTornLine(file: FileHandle): Promise<void> {
  const { size } = await file.stat()
  for (let end = size; end > 0; end -= TAIL) {
    const start = Math.max(0, end - TAIL)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(end - start), 0, end - start, start)
    const at = buffer.subarray(0, bytesRead).lastIndexOf(NEWLINE)
    if (at === -1) continue
    if (start + at + 1 < size) await file.truncate(start + at + 1)
    return
  }
  if (size > 0) await file.truncate(0)
}
