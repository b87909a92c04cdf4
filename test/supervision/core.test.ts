import { exponential, type Strategy } from 'rootcatch'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { World } from '../support/supervised-world.ts'

type Children = ConstructorParameters<typeof World>[1]
type Options = ConstructorParameters<typeof World>[0]

const strategies: readonly Strategy[] = ['one-for-one', 'one-for-all', 'rest-for-one']

const child = fc.record({
  restart: fc.constantFrom('permanent' as const, 'transient' as const, 'temporary' as const),
  significant: fc.boolean(),
})
const children = fc.array(
  child.map(({ restart, significant }) => ({ restart, significant: significant && restart !== 'permanent' })),
  { maxLength: 4 },
)
const options = fc.record({
  strategy: fc.constantFrom(...strategies),
  restarts: fc.record({ limit: fc.nat({ max: 4 }), within: fc.constant(10) }),
  backoff: fc.constantFrom(undefined, exponential({ from: 4, to: 20 })),
  autoShutdown: fc.constantFrom('never' as const, 'any' as const, 'all' as const),
})

describe('the core of a supervisor', () => {
  test('keeps what must always hold, in any order of events', () => {
    fc.assert(
      fc.property(options, children, fc.array(fc.nat(), { maxLength: 60 }), (given, defined, picks) => {
        const world = new World(leaveOut(given), defined)
        for (const pick of picks) {
          const { actions } = world
          if (actions.length === 0) break
          actions[pick % actions.length]?.run()
        }
        world.checkLate()
        world.finish()
        world.checkLate()
        expect(world.end).toBeDefined()
      }),
      { numRuns: 3_000 },
    )
  })

  const trees: readonly (readonly [string, Children])[] = [
    ['two permanent children', [{}, {}]],
    ['a transient and a temporary child', [{ restart: 'transient' }, { restart: 'temporary' }]],
  ]

  test.each(strategies.flatMap((strategy) => trees.map(([what, defined]) => [strategy, what, defined] as const)))(
    '%s with %s: all orders of three events after the start, and of three before it',
    (strategy, _what, defined) => {
      for (const readyFirst of [0, defined.length]) {
        const ways = explore(3, () => {
          const world = new World({ strategy }, defined)
          for (let n = 0; n < readyFirst; n += 1) world.actions.find(({ name }) => name.endsWith('is ready'))?.run()
          return world
        })
        expect(ways).toBeGreaterThan(500)
      }
    },
    60_000,
  )
})

/** An option that is undefined is not the same as one that is left out. */
function leaveOut({
  backoff,
  ...rest
}: Omit<Options, 'backoff'> & { readonly backoff: Options['backoff'] | undefined }): Options {
  return backoff === undefined ? rest : { ...rest, backoff }
}

/** Goes through all sequences of so many actions, each on a fresh world; how many that were. */
function explore(depth: number, fresh: () => World, way: readonly number[] = []): number {
  const world = fresh()
  for (const step of way) world.actions[step]?.run()
  const width = world.actions.length
  if (way.length === depth || width === 0) {
    world.checkLate()
    world.finish()
    return 1
  }
  let ways = 0
  for (let step = 0; step < width; step += 1) ways += explore(depth, fresh, [...way, step])
  return ways
}
