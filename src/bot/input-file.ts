import { createReadStream } from 'node:fs'
import { InputFile as GrammyInputFile } from 'grammy'
import { fetch } from 'undici'
import { peek } from '../evidence.ts'
import { AnswerError } from './errors.ts'

type Source = ConstructorParameters<typeof GrammyInputFile>[0]
type Bytes = Awaited<ReturnType<GrammyInputFile['toRaw']>>

/**
 * grammY's `InputFile`. A file behind a URL is streamed from there, and a status other than 2xx fails the call: the page
 * that says "not found" is nothing that anybody wants to send.
 */
export class InputFile extends GrammyInputFile {
  readonly #source: Source

  constructor(file: Source, filename?: string) {
    super(file, filename)
    this.#source = file
  }

  override async toRaw(): Promise<Bytes> {
    const source = this.#source
    if (typeof source === 'function') return new InputFile(await source()).toRaw()
    // grammY 1.46 takes the protocol of a file's URL for another one, and fetches it.
    if (source instanceof URL && source.protocol === 'file:') return createReadStream(source)
    const url = urlOf(source)
    return url === undefined ? super.toRaw() : download(url)
  }
}

function urlOf(source: Source): string | undefined {
  if (source instanceof URL) return source.href
  const url = typeof source === 'object' ? peek(source, 'url') : undefined
  return typeof url === 'string' ? url : undefined
}

async function* download(url: string): AsyncGenerator<Uint8Array> {
  // The URL of a file of Telegram's has the token in it, and an error about a URL that is none would show it.
  if (!URL.canParse(url)) throw new TypeError('the file to send has no valid URL. Give it an absolute one.')
  const { ok, status, statusText, body } = await fetch(url)
  if (ok && body !== null) return yield* body
  await body?.cancel()
  throw AnswerError.ofFile({ status, statusText, text: '' })
}
