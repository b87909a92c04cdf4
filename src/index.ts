import './node-version.ts'

// Definitions: data, live once they are started
export { actor, type Actor, type ActorOptions } from './actor.ts'
export type { ChildOptions, RestartType } from './child.ts'
export {
  plugin,
  type AfterEvent,
  type AroundEvent,
  type BeforeEvent,
  type EnqueueAnswer,
  type EnqueueEvent,
  type HookName,
  type Hooks,
  type JobHookEvent,
  type LifeEvent,
  type Plugin,
  type PluginErrorEvent,
  type PluginRun,
  type PluginSystem,
  type PluginTask,
  type RetryingEvent,
  type SettledEvent,
  type TakeAnswer,
  type TakeEvent,
} from './plugin.ts'
export {
  supervisor,
  type AutoShutdown,
  type Definition,
  type Strategy,
  type Supervisor,
  type SupervisorOptions,
} from './supervisor.ts'
export { task, type Task, type TaskOptions } from './task.ts'
export type { IsolateOptions } from './isolate.ts'
export type { Dedupe, InnerRunOptions, RunOptions } from './run-options.ts'
export type { TaskContext } from './task-context.ts'

// Policies
export type { ScheduleOptions } from './schedule.ts'
export { exponential, type Backoff, type ExponentialOptions, type RetryOptions } from './retry.ts'
export type { Duration } from './duration.ts'

// Decisions
export { escalate, restart, resume, stop, type Decision, type DecisionName, type RootDecision } from './decision.ts'

// Starting, and what is live then
export { start, toLogic, type StartOptions, type SystemLogic, type SystemOptions, type TaskLogic } from './start.ts'
export type { StopOptions, System } from './system.ts'
export type { Inspector, InspectorHandle } from './inspection.ts'
export { stopOnSignals, type StopOnSignalsOptions, type StopSignal } from './stop-on-signals.ts'
export type { TreeNode } from './tree-node.ts'
export type { ChildInfo, SupervisorHandle } from './supervisor-handle.ts'
export type { AnyMessage, ChildRef, ChildStatus } from './actors/child.ts'
export type { Run, RunOutcome, Queued } from './run.ts'
export type { DeadLetters } from './dead-letters.ts'
export type { Stats } from './stats.ts'
export type { AnyEvent, EventData, EventName, EventOf, Listener } from './events.ts'
export type { Clock } from './clock.ts'
export type { Logger } from './actors/tree.ts'

// Brokers
export { memory } from './brokers/memory.ts'
export type { Broker, DeadLetter, DeadLetterFilter, JobRecord, JobStatus, QueueStats } from './brokers/broker.ts'

// Failures and errors
export { Failure, type FailureJson, type FailureKind, type TrailEntry } from './failure.ts'
export {
  BrokerError,
  CancelledError,
  ChildRestartingError,
  ChildRunningError,
  ChildStoppedError,
  DuplicateNameError,
  InputError,
  InvalidDecisionError,
  InvalidOptionError,
  IsolateError,
  LeaseLostError,
  MissingPackageError,
  FatalError,
  PayloadError,
  PermanentError,
  PluginError,
  PluginTriggerError,
  RestartLimitError,
  RootcatchError,
  SupervisorStoppedError,
  SystemStoppedError,
  TimeoutError,
  UnknownChildError,
  UnknownJobError,
  UnknownOptionError,
  UnknownPathError,
  UnknownTaskError,
} from './errors.ts'
