import { expect, test } from 'vitest'
import { Bot as GrammyBot, BotError, Composer as GrammyComposer, type Context, type NextFunction } from 'grammy'
import { Bot, Composer } from 'rootcatch/bot'
import { botInfo, message, TOKEN } from '../support/bot-updates.ts'

type AnyComposer = GrammyComposer<Context>

interface Kind {
  readonly bot: () => GrammyBot<Context>
  readonly composer: () => AnyComposer
}

const grammy: Kind = { bot: () => new GrammyBot(TOKEN, { botInfo }), composer: () => new GrammyComposer() }
const ours: Kind = {
  bot: () => new Bot<Context>(TOKEN, { botInfo }) as unknown as GrammyBot<Context>,
  composer: () => new Composer<Context>(),
}

/** mulberry32 */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** What an error looks like from outside: how often it is wrapped, and what is at the bottom. */
function describe(error: unknown): string {
  if (error instanceof BotError) return `BotError(${describe(error.error)})`
  return error instanceof Error ? error.message : String(error)
}

/** Puts a random tree of middleware on a composer; what happens in it is traced. */
function grow(
  composer: AnyComposer,
  kind: Kind,
  random: () => number,
  trace: string[],
  budget: { left: number },
): void {
  const pick = (count: number): number => Math.floor(random() * count)
  const wait = async (turns: number): Promise<void> => {
    for (let turn = 0; turn < turns; turn += 1) await undefined
  }
  const leaf = (name: string) => {
    const how = pick(12)
    const turns = pick(3)
    return async (_ctx: Context, next: NextFunction): Promise<void> => {
      trace.push(`${name} in`)
      await wait(turns)
      if (how === 0) throw new Error(name)
      if (how === 1) throw name
      if (how === 2) return
      if (how === 3) {
        await next()
        throw new Error(`${name} after`)
      }
      if (how === 4) {
        await next()
        try {
          await next()
        } catch (error) {
          trace.push(`${name} twice ${describe(error)}`)
        }
        return
      }
      if (how === 5) {
        try {
          await next()
        } catch (error) {
          trace.push(`${name} caught ${describe(error)}`)
          if (turns === 0) throw error
        }
        return
      }
      await next()
      trace.push(`${name} out`)
    }
  }
  const handler = (name: string) => {
    const how = pick(8)
    const turns = pick(2)
    return async (error: BotError<Context>, next: NextFunction): Promise<void> => {
      trace.push(`${name} handles ${describe(error)}`)
      await wait(turns)
      if (how === 0) throw error
      if (how === 1) throw error.error
      if (how === 2) throw new Error(`${name} bug`)
      if (how === 3) {
        await next()
        throw new Error(`${name} late`)
      }
      if (how === 4) await next()
      if (how === 5) {
        await next()
        void next()
      }
    }
  }
  const length = 1 + pick(4)
  for (let step = 0; step < length && budget.left > 0; step += 1) {
    budget.left -= 1
    const name = `m${budget.left}`
    const kinds = pick(9)
    const deeper = (at: AnyComposer): void => grow(at, kind, random, trace, budget)
    if (kinds < 3) composer.use(leaf(name))
    else if (kinds < 6) {
      const inside = composer.errorBoundary(handler(name))
      deeper(inside)
    } else if (kinds === 6) {
      const isThrowing = pick(4) === 0
      const answer = pick(2) === 0
      const at = composer.filter(async () => {
        trace.push(`${name} asks`)
        if (isThrowing) throw new Error(`${name} predicate`)
        return answer
      })
      deeper(at)
    } else if (kinds === 7) {
      const part = kind.composer()
      deeper(part)
      composer.lazy(() => part)
    } else {
      const part = kind.composer()
      deeper(part)
      composer.use(part)
    }
  }
}

async function traceOf(kind: Kind, seed: number): Promise<readonly string[]> {
  const trace: string[] = []
  const bot = kind.bot()
  grow(bot, kind, seeded(seed), trace, { left: 24 })
  await bot.handleUpdate(message(seed)).then(
    () => trace.push('done'),
    (error: unknown) => trace.push(`left ${describe(error)}`),
  )
  if (kind === ours) await bot.stop()
  return trace
}

/** Which of two sides of a fork is first is a race in grammY too, so these trees have none. */
test('C1 to C16: 1,200 random trees of middleware leave the same traces as in grammY', async () => {
  for (let seed = 1; seed <= 1_200; seed += 1) {
    expect(await traceOf(ours, seed), `seed ${seed}`).toEqual(await traceOf(grammy, seed))
  }
}, 120_000)
