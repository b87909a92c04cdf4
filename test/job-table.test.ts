import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CountedIds } from '../src/brokers/memory-ids.ts'
import { JobTable, numberOf } from '../src/job-table.ts'

const FAR = 256 * 65_536
const anyId = fc.oneof(
  fc.integer({ min: FAR - 500, max: FAR + 500 }).map(String),
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 2_000 }).map(String) },
  fc.constantFrom(
    '',
    '0',
    '007',
    '7 ',
    '-7',
    '7.0',
    '1e3',
    '٣',
    '1999999999',
    '2000000000',
    '99999999999',
    '100000000000',
    'a/b@1',
    '__proto__',
  ),
  fc.integer({ min: 1, max: 2 ** 52 }).map(String),
)
const anyStep = fc.record({ does: fc.constantFrom('set', 'swap', 'delete', 'take', 'by number', 'clear'), id: anyId })

test('ids that are counted are the texts of their numbers', () => {
  const [ids, others] = [new CountedIds(), new CountedIds()]
  for (let n = 1; n <= 1_100_000; n += 1) {
    const id = ids.next()
    const isKnown = numberOf(id) === n
    if (n % 1_000 === 3) others.next() // the number that is known is that of the last one
    if (id !== String(n) || !isKnown || numberOf(id) !== n) throw new Error(`${n} is ${id}, at ${numberOf(id)}`)
  }
  expect(numberOf('1100001')).toBe(1_100_001)
})

describe('JobTable', () => {
  test('is a Map, whatever the ids are and whatever comes and goes', () => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 3_000, size: 'max' }), (steps) => {
        const [table, model] = [new JobTable<{ n: number }>(), new Map<string, { n: number }>()]
        for (const [n, { does, id }] of steps.entries()) {
          const earlier = model.get(id)
          for (const map of [table, model]) {
            if (does === 'set') map.set(id, { n })
            else if (does === 'clear' && n % 50 === 0) map.clear()
          }
          if (does === 'swap') model.set(id, { n })
          if (does === 'take' || does === 'by number') model.delete(id)
          const isNumber = numberOf(id) !== -1
          const same =
            (does !== 'swap' || table.swap(id, { n })?.n === earlier?.n) &&
            (does !== 'take' || table.take(id)?.n === earlier?.n) &&
            (does !== 'by number' ||
              (isNumber ? table.deleteNumber(numberOf(id)) : table.delete(id)) === (earlier !== undefined)) &&
            (does !== 'delete' || table.delete(id) === model.delete(id)) &&
            table.get(id)?.n === model.get(id)?.n &&
            table.has(id) === model.has(id) &&
            table.size === model.size
          if (!same) throw new Error(`step ${n}, ${does} ${id}`)
        }
        expect(table.keys().toSorted()).toEqual([...model.keys()].toSorted())
        expect(table.keys().map((id) => table.get(id))).toEqual(table.values())
      }),
      { numRuns: 30 },
    )
  })

  test('gives ids that count up in their order', () => {
    const table = new JobTable<{ id: string }>()
    const ids = Array.from({ length: 1_000 }, (_, index) => String(index + 1))
    for (const id of ids.toReversed()) table.set(id, { id })
    expect(table.keys()).toEqual(ids)
    expect(table.values().map(({ id }) => id)).toEqual(ids)
  })

  test('keeps what was left far behind by ids that count on', () => {
    const table = new JobTable<{ id: string }>()
    for (const id of ['7', '300']) table.set(id, { id })
    for (let id = 1_000; id < 60_000_000; id += 100_000) {
      table.set(String(id), { id: String(id) })
      if (id > 1_000_000) table.delete(String(id - 1_000_000))
    }
    expect([table.get('7'), table.get('300'), table.size]).toEqual([{ id: '7' }, { id: '300' }, 12])
    table.set('7', { id: 'seven' })
    expect([table.get('7'), table.size, table.delete('7'), table.has('7')]).toEqual([{ id: 'seven' }, 12, true, false])
  })

  test('what is deleted while somebody walks over it changes nothing for the walker', () => {
    const table = new JobTable<{ id: string }>()
    for (let id = 1; id <= 1_000; id += 1) table.set(String(id), { id: String(id) })
    let walked = 0
    for (const { id } of table.values()) {
      walked += 1
      table.delete(id)
    }
    expect([walked, table.size]).toEqual([1_000, 0])
  })
})
