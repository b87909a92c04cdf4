// Checked by `tsc --noEmit`: the charts are ordinary XState machines to whoever imports them.
import { jobMachine, supervisorMachine, workerMachine, type JobInput, type JobOutput } from 'rootcatch/machines'
import {
  createActor,
  fromCallback,
  setup,
  transition,
  type AnyStateMachine,
  type OutputFrom,
  type SnapshotFrom,
} from 'xstate'

const input: JobInput = {
  slot: 0,
  id: '1',
  path: 'a/job:1',
  attempt: 1,
  charged: 0,
  putOffs: 0,
  attempts: 1,
  hasFallback: false,
}

const any: readonly AnyStateMachine[] = [jobMachine, supervisorMachine, workerMachine]
void any
const job = createActor(jobMachine.provide({ actors: { attempt: fromCallback(() => {}) } }), { input })
job.send({ type: 'cancel', reason: 'enough' })
// @ts-expect-error no such event
job.send({ type: 'cancelled' })
// @ts-expect-error the input is missing
createActor(jobMachine)
const output: JobOutput | undefined = job.getSnapshot().output
const isRunning: boolean = job.getSnapshot().matches('running')
const [next] = transition(
  supervisorMachine,
  createActor(supervisorMachine, { input: { path: 'a', strategy: 'one-for-one' } }).getSnapshot(),
  { type: 'children.ready' },
)
const state: SnapshotFrom<typeof supervisorMachine>['value'] = next.value
setup({ actors: { job: jobMachine } }).createMachine({ invoke: { src: 'job', input } })
type Output = OutputFrom<typeof jobMachine>
void ((value: Output): JobOutput => value)
void [output, isRunning, state]
