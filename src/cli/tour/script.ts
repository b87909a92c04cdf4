import { actor, type System } from 'rootcatch'
import { compress, count, hash, unpack } from './archive.ts'
import { guest, send } from './shop.ts'
import type { Visitors } from './visitors.ts'

/** One thing that goes wrong, and what becomes of it. */
export interface Act {
  readonly title: string
  readonly about: string
  readonly play: (stage: Stage) => unknown
}

export interface Stage extends Visitors {
  readonly system: System
  /** Aborts when the tour is over. */
  readonly signal: AbortSignal
}

const names = ['Ann', 'Bob', 'Cleo', 'Dan']

/** In an order in which each is over, more or less, when the next one begins. */
export const acts: readonly Act[] = [
  {
    title: 'A task tries again',
    about: 'The disk is busy twice. A job that waits for its next attempt takes no slot.',
    play: ({ system, signal }) => system.run(compress, 'ledger.txt', { signal }),
  },
  {
    title: 'A task falls back',
    about: 'The file is not there, so the fallback of the task gives the value.',
    play: ({ system, signal }) => system.run(count, 'chapter-13.txt', { signal }),
  },
  {
    title: 'A plugin answers',
    about: 'The job asks its plugins; what one of them answers is its result.',
    play: ({ system, signal }) => system.run(count, 'map.svg', { signal }),
  },
  {
    title: 'An actor crashes and comes back',
    about: 'With rest-for-one, and so do those who were started after it.',
    play: ({ system }) => {
      const [till] = system.supervisor('tour/shop').children()
      for (const coins of [3, 4, -5]) till?.ref.send({ type: 'pay', coins })
    },
  },
  {
    title: 'A failure climbs to the root catch',
    about: 'No supervisor on its way decides. The job is a dead letter, all else goes on.',
    play: ({ system, signal }) => system.run(unpack, 'parcel.gz', { signal }),
  },
  {
    title: 'A supervisor has the answer',
    about: 'Its catch resumes with a value, so the job ends as a fallback.',
    play: ({ system, signal }) => system.run(send, 'Mill Lane 3', { signal }),
  },
  {
    title: 'A job is cancelled',
    about: 'That is no failure: nobody above is asked.',
    play: async ({ system, signal }) => {
      const run = system.run(hash, 'diary.txt', { signal })
      for await (const percent of run) if (percent === 40) run.cancel('seen enough')
    },
  },
  {
    title: 'A supervisor gives up',
    about: 'The lighthouse escalates. The one above starts all of it anew.',
    play: ({ system }) => {
      const [lamp] = system.supervisor('tour/lighthouse').children()
      lamp?.ref.send({ type: 'burn' })
    },
  },
  {
    title: 'Actors are spawned in code',
    about: 'One leaves, one faints. Both were temporary, so nobody starts them again.',
    play: async ({ system }) => {
      for (const event of ['leave', 'faint', undefined]) {
        const [name = ''] = names
        names.push(...names.splice(0, 1))
        const visitor = actor('guest', guest, { input: { name }, restart: 'temporary' })
        const ref = await system.spawn(visitor, { under: 'tour/shop/guests' })
        if (event !== undefined) setTimeout(() => ref.send({ type: event }), 500)
        else setTimeout(() => ref.send({ type: 'leave' }), 6_000)
      }
    },
  },
  {
    title: 'A bot catches an error',
    about: 'In the boundary it was thrown in. The next message of that chat comes after it.',
    play: ({ telegram, clerk }) => {
      if (clerk === undefined) return
      telegram.send.text('/pay')
      telegram.send.text('hello')
    },
  },
  {
    title: 'A spider tries again',
    about: 'A page of the shop is busy at first. All others are got meanwhile.',
    play: ({ system, books, signal }) => system.run(books, { fresh: true, signal }),
  },
]
