import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PassingMap } from '../src/passing-map.ts'

const anyStep = fc.record({
  does: fc.constantFrom('set', 'set', 'delete', 'clear'),
  key: fc.integer({ min: 0, max: 300 }).map(String),
})

describe('PassingMap', () => {
  test('is a Map, in its order too, whatever comes and goes', () => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 2_000, size: 'max' }), (steps) => {
        const [passing, model] = [new PassingMap<number>(), new Map<string, number>()]
        for (const [index, { does, key }] of steps.entries()) {
          for (const map of [passing, model]) {
            if (does === 'set') map.set(key, index)
            else if (does === 'delete') map.delete(key)
            else if (index % 50 === 0) map.clear()
          }
          expect(passing.get(key)).toBe(model.get(key))
          expect(passing.has(key)).toBe(model.has(key))
          expect(passing.size).toBe(model.size)
        }
        expect([...passing.keys()]).toEqual([...model.keys()])
        expect([...passing.values()]).toEqual([...model.values()])
      }),
      { numRuns: 30 },
    )
  })

  test('what is deleted while somebody walks over it changes nothing for the walker', () => {
    const passing = new PassingMap<number>()
    for (let key = 0; key < 1_000; key += 1) passing.set(String(key), key)
    let walked = 0
    for (const value of passing.values()) {
      walked += 1
      passing.delete(String(value))
    }
    expect([walked, passing.size]).toEqual([1_000, 0])
  })
})
