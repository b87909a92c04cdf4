import { expect, test } from 'vitest'
import { Bot as GrammyBot, BotError, Composer as GrammyComposer, type Context, type NextFunction } from 'grammy'
import { Bot, Composer } from 'rootcatch/bot'
import { settle } from 'rootcatch/testing'
import { botInfo, message, TOKEN } from '../support/bot-updates.ts'
import { seeded } from '../support/seeded.ts'

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

/** What an error looks like from outside: how often it is wrapped, and what is at the bottom. */
function describe(error: unknown): string {
  if (error instanceof BotError) return `BotError(${describe(error.error)})`
  return error instanceof Error ? error.message : String(error)
}

/** What a tree of middleware is grown with. */
interface Soil {
  readonly kind: Kind
  readonly random: () => number
  readonly trace: string[]
  /** How many middlewares may follow. */
  left: number
  /** `next` of parts that were over when they were done with it. */
  readonly late: (() => Promise<unknown>)[]
  /** Parts that run beside others: which of two is first, is a race in grammY too. */
  hasRaces: boolean
}

const VALUES: readonly unknown[] = [null, undefined, 0, '', false, Object.freeze({ odd: true }), () => {}, 7n]

/** Puts a random tree of middleware on a composer; what happens in it is traced. */
function grow(composer: AnyComposer, soil: Soil): void {
  const { kind, random, trace } = soil
  const pick = (count: number): number => Math.floor(random() * count)
  const wait = async (turns: number): Promise<void> => {
    for (let turn = 0; turn < turns; turn += 1) await undefined
  }
  const leaf = (name: string) => {
    const how = pick(16)
    const turns = pick(3)
    const value = VALUES[pick(VALUES.length)]
    if (how === 8) soil.hasRaces = true
    return async (_ctx: Context, next: NextFunction): Promise<void> => {
      trace.push(`${name} in`)
      await wait(turns)
      switch (how) {
        case 0:
          throw new Error(name)
        case 1:
          throw name
        case 2:
          return
        case 3:
          await next()
          throw new Error(`${name} after`)
        case 4:
          await next()
          return next().catch((error: unknown) => void trace.push(`${name} twice ${describe(error)}`))
        case 5:
          try {
            await next()
          } catch (error) {
            trace.push(`${name} caught ${describe(error)}`)
            if (turns === 0) throw error
          }
          return
        case 6:
          throw value
        case 7:
          soil.late.push(() => next().catch((error: unknown) => trace.push(`${name} late ${describe(error)}`)))
          return
        case 8: // not awaited; its rejection is seen to, or it would end the process
          void next().catch((error: unknown) => trace.push(`${name} detached ${describe(error)}`))
          return
        default:
          await next()
          trace.push(`${name} out`)
      }
    }
  }
  const handler = (name: string) => {
    const how = pick(10)
    const turns = pick(2)
    const value = VALUES[pick(VALUES.length)]
    return async (error: BotError<Context>, next: NextFunction): Promise<void> => {
      trace.push(`${name} handles ${describe(error)}`)
      await wait(turns)
      if (how === 0) throw error
      if (how === 1) throw error.error
      if (how === 2) throw new Error(`${name} bug`)
      if (how === 6) throw value
      if (how === 7) soil.late.push(next)
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
  for (let step = 0; step < length && soil.left > 0; step += 1) {
    soil.left -= 1
    const name = `m${soil.left}`
    const kinds = pick(15)
    const part = (): AnyComposer => {
      const own = kind.composer()
      grow(own, soil)
      return own
    }
    const asks = <Answer>(answers: readonly Answer[]) => {
      const isThrowing = pick(4) === 0
      const answer = answers[pick(answers.length)] as Answer
      return async (): Promise<Answer> => {
        trace.push(`${name} asks`)
        if (isThrowing) throw new Error(`${name} predicate`)
        return answer
      }
    }
    if (kinds < 4) composer.use(leaf(name))
    else if (kinds < 8) grow(composer.errorBoundary(handler(name)), soil)
    else if (kinds === 8) grow(composer.filter(asks([true, false])), soil)
    else if (kinds === 9) composer.lazy(asks([part(), [part(), part()]]))
    else if (kinds === 10) composer.use(part())
    else if (kinds === 11) composer.branch(asks([true, false]), part(), part())
    else if (kinds === 12) composer.route(asks(['a', 'b', undefined]), { a: part(), b: part() })
    else if (kinds === 13) composer.route(asks(['a', 'c']) as () => Promise<'a'>, { a: part() }, part())
    else {
      soil.hasRaces = true
      composer.fork(part())
    }
  }
}

interface Traced {
  readonly trace: readonly string[]
  readonly hasRaces: boolean
}

async function traceOf(kind: Kind, seed: number): Promise<Traced> {
  const bot = kind.bot()
  const soil: Soil = { kind, random: seeded(seed), trace: [], left: 24, late: [], hasRaces: false }
  const { trace, late } = soil
  grow(bot, soil)
  await bot.handleUpdate(message(seed)).then(
    () => trace.push('done'),
    (error: unknown) => trace.push(`left ${describe(error)}`),
  )
  await settle()
  trace.push('over')
  for (const next of late) {
    await next()
    await settle()
  }
  if (kind === ours) await bot.stop()
  return { trace, hasRaces: soil.hasRaces }
}

test('C1 to C16: 1,200 random trees of middleware leave the same traces as in grammY', async () => {
  let compared = 0
  for (let seed = 1; compared < 1_200; seed += 1) {
    const [own, theirs] = [await traceOf(ours, seed), await traceOf(grammy, seed)]
    if (own.hasRaces) continue
    compared += 1
    expect(own.trace, `seed ${seed}`).toEqual(theirs.trace)
  }
}, 120_000)

test('C2, C5: 1,000 more in which parts run beside each other do the same, in whichever order', async () => {
  let compared = 0
  const different: number[] = []
  for (let seed = 1; compared < 1_000; seed += 1) {
    const [own, theirs] = [await traceOf(ours, seed), await traceOf(grammy, seed)]
    if (!own.hasRaces) continue
    compared += 1
    if (JSON.stringify(own.trace.toSorted()) !== JSON.stringify(theirs.trace.toSorted())) different.push(seed)
  }
  expect(different).toEqual([])
}, 120_000)
