import type { Awaitable } from '../brokers/broker.ts'

/** Goes on at once if the answer is there at once: a broker in memory costs its caller no turn. */
export function whenever<Value>(
  ask: () => Awaitable<Value>,
  then: (value: Value) => void,
  otherwise: (error: unknown) => void,
): void {
  let answer: Awaitable<Value>
  try {
    answer = ask()
  } catch (error) {
    return otherwise(error)
  }
  if (typeof answer === 'object' && answer !== null && 'then' in answer) answer.then(then, otherwise)
  else then(answer as Value)
}
