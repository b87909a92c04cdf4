import type { BuriedJob } from '../brokers/broker.ts'
import { addToTrail, Failure } from '../failure.ts'
import type { RunOutcome } from '../run.ts'
import { whenever } from './answer.ts'
import type { JobPolicy } from './job-policy.ts'
import { climb, type JobDecision, type Level } from './climb.ts'
import type { Tree } from './tree.ts'

/** The task that it was a job of. */
export interface Bereaved {
  readonly tree: Tree
  readonly definition: Pick<JobPolicy, 'retry'>
  readonly path: string
  readonly level: Level
  settle(id: string, outcome: RunOutcome): void
}

/**
 * Makes a job known that the broker ended because it was lost too often. It is a dead letter already, so that nothing is
 * lost if this process ends as well; a restart takes it out again, and any other decision leaves it there.
 */
export function bury(queue: Bereaved, job: BuriedJob): void {
  const { tree, level, definition, path: task } = queue
  const { id, attempts, generation, restarts } = job
  const { error, path, at } = job.failure
  const allowed = { id, task, attempts: definition.retry.attempts }
  const failure = new Failure({ error, path, kind: 'lost', at, attempt: attempts, job: allowed, generation })
  const outcome = { status: 'failed', failure, attempts } as const
  if (tree.isStopped) {
    addToTrail(failure, { path: level.path, decision: 'stop', by: 'stopping' })
    tree.report(failure, 'stop')
    return queue.settle(id, outcome)
  }
  const decided = climb(failure, { restarts }, level, `the job stays failed; dead letter ${id}`)
  // A value comes too late: what the job came to is written.
  tree.report(failure, decided.decision === 'stay' ? decided.name : decided.decision === 'value' ? 'resume' : 'restart')
  if (decided.decision === 'restart') return restart(queue, job, decided, () => queue.settle(id, outcome))
  queue.settle(id, outcome)
  if (decided.decision === 'stay' && decided.stopsSystem) tree.stopBecause(failure)
}

function restart(
  { tree, path: task }: Bereaved,
  { id, generation, restarts, failure: { path } }: BuriedJob,
  { delay, by, count }: Extract<JobDecision, { decision: 'restart' }>,
  stay: () => void,
): void {
  // Without a prototype: a path may be called `constructor`.
  const behind = Object.assign(Object.create(null) as Record<string, number>, restarts, { [by]: count })
  const replay = (): void =>
    whenever(
      () => tree.broker.replay(id, undefined, behind),
      (answer) => {
        if (answer === undefined) return stay() // discarded meanwhile, or replayed by somebody
        tree.counters.jobs.restarted += 1
        tree.events.emit('job.restarted', { path, id, attempt: 0, generation: generation + 1 })
      },
      (error) => {
        tree.callbackFailed(task, 'broker.replay', error)
        stay()
      },
    )
  if (delay === 0) replay()
  else tree.sleep(delay, replay)
}
