import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nearest } from '../src/nearest.ts'

const options = ['retry', 'timeout', 'fallback', 'plugins', 'concurrency', 'tags']

describe('nearest', () => {
  test.each([
    ['retires', 'retry'],
    ['TIMEOUT', 'timeout'],
    ['every', undefined],
    ['tiemout', 'timeout'],
    ['falback', 'fallback'],
    ['plugin', 'plugins'],
    ['concurency', 'concurrency'],
    ['tag', 'tags'],
    ['colour', undefined],
    ['x', undefined],
    ['', undefined],
  ])('to %j among the options is %j', (word, expected) => {
    expect(nearest(word, options)).toBe(expected)
  })

  test('prefers fewer edits, then the first', () => {
    expect(nearest('app/meda', ['app/medal', 'app/media', 'app/meda'])).toBe('app/meda')
    expect(nearest('app/meda', ['app/media', 'app/medal'])).toBe('app/media')
  })

  test('finds every word with one letter more, less, changed or swapped', () => {
    const word = fc.string({ minLength: 3, maxLength: 20, unit: fc.constantFrom(...'abcdef') })
    fc.assert(
      fc.property(word, fc.nat(), fc.constantFrom('more', 'less', 'changed', 'swapped'), (right, place, slip) => {
        const at = place % (right.length - 1)
        const [before, letter = '', next = '', after] = [
          right.slice(0, at),
          right[at],
          right[at + 1],
          right.slice(at + 2),
        ]
        const middle = { more: `${letter}z${next}`, less: next, changed: `z${next}`, swapped: next + letter }[slip]
        expect(nearest(before + middle + after, [right])).toBe(right)
      }),
    )
  })

  test('of words nobody would write costs nothing', () => {
    expect(nearest('x'.repeat(1_000_000), ['y'.repeat(1_000_000)])).toBeUndefined()
  })
})
