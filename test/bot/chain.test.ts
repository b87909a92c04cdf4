import { describe, expect, test } from 'vitest'
import { Composer as GrammyComposer, type Context, type Middleware } from 'grammy'
import { Composer } from 'rootcatch/bot'

const ctx = {} as Context
const leaf = (): Promise<void> => Promise.resolve()
const KINDS = [
  ['grammY', (...middleware: Middleware<Context>[]) => new GrammyComposer<Context>(...middleware)],
  ['ours', (...middleware: Middleware<Context>[]): GrammyComposer<Context> => new Composer<Context>(...middleware)],
] as const

/** What each says of grammY, it says of ours. */
describe.each(KINDS)('a composer of %s', (_kind, newComposer) => {
  test('C3: what is added while an update runs is for the next one; on a composer it has not reached, for this one', async () => {
    const trace: string[] = []
    const composer = newComposer()
    const later = newComposer()
    composer.use(async (_ctx, next) => {
      composer.use(() => void trace.push('added behind'))
      later.use(() => void trace.push('added later on'))
      await next()
    })
    composer.use(async (_ctx, next) => {
      trace.push('behind')
      await next()
    })
    const all = newComposer(composer, later)
    await all.middleware()(ctx, leaf)
    expect(trace).toEqual(['behind', 'added later on'])
    await composer.middleware()(ctx, leaf)
    expect(trace.slice(2)).toEqual(['behind', 'added behind'])
  })

  test('C1: only the last link may pass on twice, for what stands behind the composer decides about that', async () => {
    let passed = 0
    const behind = async (): Promise<void> => void (passed += 1)
    const twice: Middleware<Context> = async (_ctx, next) => {
      await next()
      await next()
    }
    await newComposer(twice).middleware()(ctx, behind)
    await newComposer((_ctx, next) => next(), twice).middleware()(ctx, behind)
    expect(passed).toBe(4)
    await expect(newComposer(twice, (_ctx, next) => next()).middleware()(ctx, behind)).rejects.toThrow(
      '`next` already called before!',
    )
    expect(passed).toBe(5)
  })

  test('C16: without middleware it passes on, and a single one is called as it is', async () => {
    const behind = (): Promise<void> => Promise.reject(new Error('behind'))
    await expect(newComposer().middleware()(ctx, behind)).rejects.toThrow('behind')
    const throws = (): never => {
      throw new Error('at once')
    }
    expect(newComposer(throws).middleware()).toBe(throws)
    const added = newComposer()
    added.use(throws)
    await expect(added.middleware()(ctx, leaf)).rejects.toThrow('at once')
    await expect(newComposer(throws, throws).middleware()(ctx, leaf)).rejects.toThrow('at once')
  })

  test('five hundred links are no deeper than the stack', async () => {
    let count = 0
    const composer = newComposer()
    for (let each = 0; each < 500; each += 1) {
      composer.use(async (_ctx, next) => {
        count += 1
        await next()
      })
    }
    await composer.middleware()(ctx, leaf)
    expect(count).toBe(500)
  })
})
