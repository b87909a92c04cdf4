import { describe, expect, test } from 'vitest'
import { InvalidOptionError, task } from 'rootcatch'

describe('options of a task', () => {
  test.each([
    [{ retries: 3 }, 'Did you mean "retry"?'],
    [{ timeout: '30 sec' }, `task "root" got timeout "30 sec" (string). Write`],
    [{ timeout: 0 }, 'timeout 0 (number)'],
    [{ retry: { attempts: 0 } }, 'retry of task "root" got attempts 0 (number)'],
    [{ retry: { attempts: Infinity } }, 'attempts Infinity (number)'],
    [{ concurrency: 0 }, 'concurrency 0 (number)'],
    [{ priority: 1.5 }, 'priority 1.5 (number)'],
    [{ priority: 1_000_001 }, 'priority 1000001 (number)'],
    [{ delay: -1 }, 'delay -1 (number)'],
    [{ lane: 5 }, 'lane 5 (number)'],
    [{ dedupe: { key: 'a', within: 5 } }, 'unknown option "within"'],
    [{ dedupe: { key: 5 } }, 'dedupe.key 5 (number)'],
    [{ maxPayload: 0 }, 'maxPayload 0 (number)'],
    [{ fallback: 'x' }, 'fallback "x" (string)'],
    [{ input: {} }, 'Pass a Standard Schema'],
    [{ plugins: {} }, 'Pass a list'],
    [{ description: 5 }, 'description 5 (number)'],
    [{ tags: 'a' }, 'tags "a" (string)'],
    [{ tags: [1] }, 'tags'],
  ])('%j is refused with %j', (options, text) => {
    expect(() => task('root', options as never, () => 1)).toThrow(text)
  })

  test.each(['', 'a b', 'a/b', 'ä', 5, undefined])('the name %j is refused', (name) => {
    expect(() => task(name as string, () => 1)).toThrow(InvalidOptionError)
  })

  test('a definition is frozen', () => {
    const root = task('root', { retry: { attempts: 2 }, tags: ['a'] }, () => 1)
    expect([root, root.retry, root.tags, root.plugins].every(Object.isFrozen)).toBe(true)
  })
})
