import { describe, expect, test } from 'vitest'
import { Circuit, type CircuitRules, type TryEnd } from '../../src/plugins/circuit.ts'

const rules: CircuitRules = { failures: 3, within: undefined, reset: (n) => n * 100, probes: 1, probeTime: 500 }

function circuitWith(changes: Partial<CircuitRules> = {}): {
  circuit: Circuit
  log: string[]
  attempt: (how: TryEnd, now: number) => void
} {
  const log: string[] = []
  const circuit = new Circuit({ ...rules, ...changes }, (state, now) => log.push(`${state} at ${now}`))
  return { circuit, log, attempt: (how, now) => circuit.end(circuit.begin('a', now), how, now) }
}

const at = (now: number) => ({ free: 10, again: () => {}, now })

describe('a circuit', () => {
  test.each([
    [['failure', 'failure'], 'closed'],
    [['failure', 'failure', 'failure'], 'open'],
    [['failure', 'failure', 'success', 'failure', 'failure'], 'closed'],
    [['failure', 'neither', 'failure', 'neither', 'failure'], 'open'],
    [['neither', 'neither', 'neither', 'neither'], 'closed'],
  ] as const)('that counts in a row is after %j %s', (ends, state) => {
    const { circuit, attempt } = circuitWith()
    for (const end of ends) attempt(end, 0)
    expect(circuit.state).toBe(state)
  })

  test.each([
    [[0, 10, 20], 'open'],
    [[0, 10, 100], 'open'],
    [[0, 10, 101], 'closed'],
    [[0, 50, 101, 102], 'open'],
  ] as const)('that counts within 100 ms is after failures at %j %s, whatever succeeded between', (times, state) => {
    const { circuit, attempt } = circuitWith({ within: 100 })
    for (const now of times) {
      attempt('success', now)
      attempt('failure', now)
    }
    expect(circuit.state).toBe(state)
  })

  test('that is open gives no place until its time is over, then one', () => {
    const { circuit, attempt } = circuitWith({ failures: 1 })
    expect(circuit.ask('a', at(0))).toBeUndefined()
    attempt('failure', 0)
    expect(circuit.ask('a', at(0))).toEqual({ limit: 0, again: 100 })
    expect(circuit.ask('a', at(99))).toEqual({ limit: 0, again: 1 })
    expect(circuit.ask('a', at(100))).toMatchObject({ limit: 1 })
    expect(circuit.ask('b', at(100))).toMatchObject({ limit: 0 })
  })

  test('gives a place to another worker when the first did not use it, or its probe takes too long', () => {
    const { circuit, attempt } = circuitWith({ failures: 1 })
    attempt('failure', 0)
    expect(circuit.ask('a', at(100))).toMatchObject({ limit: 1 })
    expect(circuit.ask('a', at(500))).toEqual({ limit: 0, again: 600 }) // it may have taken a job that has not begun yet
    expect(circuit.ask('b', at(1_099))).toMatchObject({ limit: 0 })
    expect(circuit.ask('b', at(1_100))).toMatchObject({ limit: 1 })
    circuit.begin('b', 1_100)
    expect(circuit.ask('a', at(1_599))).toEqual({ limit: 0, again: 1 })
    expect(circuit.ask('a', at(1_600))).toMatchObject({ limit: 1 })
  })

  test('closes when its probes succeeded, opens for longer when one fails, and forgets that once it is closed', () => {
    const { log, attempt } = circuitWith({ failures: 1, probes: 2 })
    attempt('failure', 0)
    attempt('failure', 100)
    attempt('success', 300)
    attempt('neither', 300)
    attempt('success', 301)
    attempt('failure', 400)
    attempt('success', 500)
    expect(log).toEqual([
      'open at 0',
      'half-open at 100',
      'open at 100',
      'half-open at 300',
      'closed at 301',
      'open at 400',
      'half-open at 500',
    ])
  })

  test('hears nothing of attempts that began before it changed', () => {
    const { circuit, log, attempt } = circuitWith({ failures: 1 })
    const [slow, slower] = [circuit.begin('a', 0), circuit.begin('a', 0)]
    attempt('failure', 0)
    circuit.end(slow, 'success', 50)
    expect(circuit.state).toBe('open')
    expect(circuit.ask('a', at(100))).toMatchObject({ limit: 1 })
    circuit.end(slower, 'failure', 100)
    expect(circuit.state).toBe('half-open')
    expect(log).toEqual(['open at 0', 'half-open at 100'])
  })

  test.each(['success', 'failure', 'neither'] as const)(
    'asks those again who found no place when a probe ends: %s',
    (how) => {
      const { circuit, attempt } = circuitWith({ failures: 1, probes: 2 })
      attempt('failure', 0)
      const probe = circuit.begin('a', 100)
      circuit.begin('a', 100)
      let asked = 0
      circuit.ask('b', { free: 10, now: 100, again: () => (asked += 1) })
      expect(asked).toBe(0)
      circuit.end(probe, how, 110)
      expect(asked).toBe(1)
    },
  )
})
