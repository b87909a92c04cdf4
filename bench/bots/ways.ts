import type { AnyBot } from './updates.ts'

/** What updates meet on their way. */
export type Way = 'passed' | 'answered' | 'one' | 'four' | 'caught' | 'rethrown'

interface Course {
  readonly title: string
  /** So many to warm up, and as many that are measured. */
  readonly updates: number
}

export const WAYS: Readonly<Record<Way, Course>> = {
  passed: { title: 'five middlewares and a boundary', updates: 200_000 },
  answered: { title: 'the same, and an answer that a transformer takes', updates: 150_000 },
  one: { title: 'one boundary, passed without an error', updates: 200_000 },
  four: { title: 'four boundaries, passed without an error', updates: 150_000 },
  caught: { title: 'a throw caught by the innermost of 3', updates: 30_000 },
  rethrown: { title: 'a throw rethrown by all 3', updates: 20_000 },
}

const thrown = new Error('on purpose')
const suppress = (): void => {}
const rethrow = (error: unknown): never => {
  throw error
}
const throws = (): never => {
  throw thrown
}

/** Puts the middleware on a bot, and gives how it handles an update: one that leaves all boundaries rejects. */
export function build(bot: AnyBot, way: Way): AnyBot['handleUpdate'] {
  switch (way) {
    case 'passed':
      five(bot).use((_ctx, next) => next())
      break
    case 'answered':
      bot.api.config.use(() => Promise.resolve({ ok: true, result: true } as never))
      five(bot).use((ctx) => ctx.reply('hi'))
      break
    case 'one':
      nest(bot, 1, suppress, suppress)
      break
    case 'four':
      nest(bot, 4, suppress, suppress)
      break
    case 'caught':
      nest(bot, 3, suppress, throws)
      break
    case 'rethrown':
      nest(bot, 3, rethrow, throws)
      return (update) => bot.handleUpdate(update).catch(suppress)
  }
  return (update) => bot.handleUpdate(update)
}

type Part = Pick<AnyBot, 'use' | 'errorBoundary'>

function five(bot: AnyBot): Part {
  for (let each = 0; each < 4; each += 1) bot.use((_ctx, next) => next())
  return bot.errorBoundary(suppress)
}

function nest(bot: AnyBot, boundaries: number, handler: (error: unknown) => void, last: () => void): void {
  let at: Part = bot
  for (let each = 0; each < boundaries; each += 1) at = at.errorBoundary(handler)
  at.use(last)
}
