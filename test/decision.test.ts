import { afterEach, describe, expect, expectTypeOf, test, vi } from 'vitest'
import {
  escalate,
  readDecision,
  restart,
  resume,
  stop,
  type Decision,
  type Escalate,
  type Restart,
  type Resume,
  type RootDecision,
  type Stop,
} from '../src/decision.ts'
import { hostileValues } from './support/hostile.ts'

afterEach(() => vi.resetModules())

const decisions = { resume, restart, stop, escalate }

describe.each(Object.entries(decisions))('%s', (name, decision) => {
  test('says its name, is frozen and is read as itself', () => {
    expect(decision.decision).toBe(name)
    expect(Object.isFrozen(decision)).toBe(true)
    expect(readDecision(decision)).toBe(decision)
  })

  test('of a second copy of the package is the same decision', async () => {
    vi.resetModules()
    const copy = await import('../src/decision.ts')
    const theirs = copy[name as keyof typeof decisions]
    expect(theirs).not.toBe(decision)
    expect(readDecision(theirs)).toBe(decision)
  })
})

describe('resume', () => {
  test('without a call has no value', () => {
    expect(resume.hasValue).toBe(false)
    expect(resume.value).toBeUndefined()
  })

  test.each([[0], [''], [false], [null], [undefined], [Symbol.iterator], [{ a: 1 }]])(
    '(%o) has that value',
    (value) => {
      const decision = resume(value)
      expect(decision).toMatchObject({ decision: 'resume', hasValue: true })
      expect(decision.value).toBe(value)
      expect(Object.isFrozen(decision)).toBe(true)
      expect(readDecision(decision)).toEqual(decision)
    },
  )

  test('called with nothing at all has no value', () => {
    expect((resume as unknown as () => Resume)()).toBe(resume)
  })
})

describe('readDecision', () => {
  test.each([['restart'], [{ decision: 'restart' }], [() => restart], [Promise.resolve(restart)], [true]])(
    'takes %o for none',
    (value) => {
      expect(readDecision(value)).toBeUndefined()
    },
  )

  test.each(['toString', '__proto__', 'explode', undefined])('takes a brand with the name %s for none', (name) => {
    expect(readDecision({ [Symbol.for('rootcatch.decision')]: true, decision: name })).toBeUndefined()
  })

  test.each(hostileValues)('never throws: %s', (_name, make) => {
    expect(readDecision(make())).toBeUndefined()
  })
})

describe('the types', () => {
  test('are not assignable to each other, so that escalate does not compile at the root', () => {
    expectTypeOf<Escalate>().not.toExtend<RootDecision>()
    expectTypeOf<Resume | Restart | Stop>().toEqualTypeOf<RootDecision>()
    expectTypeOf<typeof resume>().toExtend<RootDecision>()
    expectTypeOf<Restart>().not.toExtend<Stop>()
    expectTypeOf<Stop>().not.toExtend<Resume>()
    expectTypeOf<{ decision: 'stop' }>().not.toExtend<Decision>()
  })
})
