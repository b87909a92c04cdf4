import { createHash } from 'node:crypto'
import { gunzipSync, gzipSync } from 'node:zlib'
import { exponential, plugin, supervisor, task, type Supervisor, type Task } from 'rootcatch'

/** The files of an archive that was never well kept. */
const files: ReadonlyMap<string, string> = new Map([
  ['diary.txt', 'Rain again. The ferry did not come, so nobody did.\n'.repeat(400)],
  ['ledger.txt', 'Paid: one lamp, two ropes, three nets.\n'.repeat(900)],
  ['map.svg', '<svg><text>harbour</text><text>well</text><text>mill</text></svg>'],
  ['parcel.gz', 'somebody has named a letter .gz'],
])

const waits = exponential({ from: '400ms', to: '3s', jitter: 0 })

export const compress: Task<string, string> = task(
  'compress',
  { retry: { attempts: 3, backoff: waits } },
  async (name: string, ctx) => {
    if (ctx.attempt < 3) throw new Error('the disk is busy') // on purpose
    const text = await read(name)
    return `${name}: ${text.length} to ${gzipSync(text).length} bytes`
  },
)

export const count: Task<string, string> = task(
  'count',
  { fallback: (_: string, { error }) => `0 words, for ${(error as Error).message}` },
  async (name: string, ctx) => {
    if (name.endsWith('.svg')) ctx.pluginError({ code: 'picture', message: 'a picture is no text' })
    return `${(await read(name)).split(/\s+/).length} words in ${name}`
  },
)

export const unpack: Task<string, number> = task('unpack', async (name: string) => gunzipSync(await read(name)).length)

export const hash: Task<string, string, number> = task('hash', async function* (name: string, ctx) {
  const sum = createHash('sha256').update(await read(name))
  for (let percent = 0; percent < 100; percent += 20) {
    yield percent
    await ctx.sleep('200ms') // real work would take its time too
  }
  return `sha256 of ${name}: ${sum.digest('hex').slice(0, 12)}`
})

const pictures = plugin('pictures', {
  pluginError: async ({ run, error }) => {
    if (error.details['code'] !== 'picture') return undefined // no answer: somebody else's, or an ordinary error
    return `${(await read(String(run.input))).split('<text').length - 1} words drawn in ${run.input}`
  },
})

/** Tasks that retry, fall back, are answered by a plugin, fail for good, and are cancelled. */
export const archive: Supervisor = supervisor('archive', { plugins: [pictures] }, [compress, count, unpack, hash])

async function read(name: string): Promise<string> {
  const text = files.get(name)
  if (text === undefined) throw new Error(`there is no ${name}`)
  return text
}
