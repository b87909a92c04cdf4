export {
  jobMachine,
  type JobContext,
  type JobEffect,
  type JobEvent,
  type JobInput,
  type JobMachine,
  type JobOutput,
  type JobState,
} from './job.ts'
export {
  pollerMachine,
  type PollerContext,
  type PollerEffect,
  type PollerEvent,
  type PollerInput,
  type PollerMachine,
  type PollerOutput,
  type PollerState,
} from './poller.ts'
export {
  spiderMachine,
  type SpiderContext,
  type SpiderEvent,
  type SpiderInput,
  type SpiderMachine,
  type SpiderOutput,
  type SpiderState,
} from './spider.ts'
export {
  supervisorMachine,
  type SupervisorContext,
  type SupervisorEvent,
  type SupervisorInput,
  type SupervisorMachine,
  type SupervisorOutput,
  type SupervisorState,
} from './supervisor.ts'
export {
  workerMachine,
  type WorkerContext,
  type WorkerEvent,
  type WorkerInput,
  type WorkerMachine,
  type WorkerOutput,
  type WorkerState,
} from './worker.ts'
