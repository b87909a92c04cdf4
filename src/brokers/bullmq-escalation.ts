import type { NewJob, Outcome } from './broker.ts'

/** The queue of what nobody decided, of the app whose task it was. */
export function escalationQueue(task: string): string {
  return `${task.split('/')[0] ?? task}-escalations`
}

/** The job that tells the fleet of a failure which no `catch` decided, down to this process's own root catch. */
export function escalationOf(outcome: Outcome, task: string, newId: () => string): NewJob | undefined {
  if (outcome.kind !== 'failed') return undefined
  const { failure, id: job } = outcome
  const last = failure.trail.at(-1)
  if (last?.path !== '' || last.by !== 'default') return undefined
  const queue = escalationQueue(task)
  const id = newId()
  return {
    id,
    queue,
    input: JSON.parse(JSON.stringify({ job, task, failure })) as NewJob['input'],
    idempotencyKey: `${queue}/job:${id}`,
    priority: 0,
    delay: 0,
    lane: undefined,
    dedupe: undefined,
  }
}
