import type { ActorLogic, AnyActorLogic, AnyEventObject, Snapshot } from 'xstate'
import type { Inspect } from './actors/own-system.ts'
import type { RootCatch } from './actors/root-verdicts.ts'
import { Root } from './actors/root.ts'
import { systemLogic, type SystemSnapshot } from './actors/to-logic.ts'
import { Tree, type Logger } from './actors/tree.ts'
import type { Broker } from './brokers/broker.ts'
import { memory } from './brokers/memory.ts'
import { systemClock, type Clock } from './clock.ts'
import { isDefinition } from './definition.ts'
import { resume } from './decision.ts'
import { InvalidOptionError } from './errors.ts'
import { inspectedOf } from './inspected.ts'
import { inspectorBrand, isInspector, type Inspector } from './inspection.ts'
import { refuseInThread } from './isolate.ts'
import { checkKeys, readFunction } from './options.ts'
import { readPlugins, type Plugin } from './plugin.ts'
import type { Definition } from './supervisor.ts'
import type { Task } from './task.ts'
import { System } from './system.ts'

export interface SystemOptions {
  /**
   * Decides what no supervisor has decided. `escalate` does not compile: there is nobody above.
   * @default prints the report; then `resume` for a job, `stop` for an actor
   */
  readonly catch?: RootCatch
  /** Where jobs wait. @default memory() */
  readonly broker?: Broker
  /** Asked for every job of the tree, after those of tasks and supervisors. */
  readonly plugins?: readonly Plugin[]
  /** Gets the lines of `ctx.log`, and reports of callbacks that threw; pino and its like fit as they are. */
  readonly log?: Logger
  /** Where all time comes from; `manualClock()` of `rootcatch/testing` in tests. */
  readonly clock?: Clock
  /** Numbers from 0 to 1 for the jitter of waits. @default Math.random */
  readonly random?: () => number
}

export interface StartOptions extends SystemOptions {
  /**
   * `inspector()` of `rootcatch/inspect`, or any XState inspection observer, `@statelyai/inspect` included; one of these that
   * throws three times is not called again.
   */
  readonly inspect?: Inspect | Inspector
}

const SYSTEM_OPTIONS = ['catch', 'broker', 'plugins', 'log', 'clock', 'random']

/**
 * Makes a definition live. Resolves when all of it is ready; rejects with the `Failure` of what did not start, once
 * everything that had started is stopped again.
 *
 * @example
 * await using system = await start(supervisor('app', [resize]))
 */
export async function start(root: Definition, options: StartOptions = {}): Promise<System> {
  checkKeys('start()', options, [...SYSTEM_OPTIONS, 'inspect'])
  const { inspect } = options
  const { tree, system, run } = prepare(root, options)
  if (!isInspector(inspect)) {
    await run.startAlone(inspect)
    return system
  }
  // Before anything starts: a start that hangs is worth looking at.
  tree.inspector = await inspect[inspectorBrand](inspectedOf(tree, run, system, inspect.control))
  await run.startAlone(undefined)
  return system
}

/**
 * XState logic out of a definition, to be invoked or spawned by any machine. A supervisor lives as long as that actor
 * and fails it with the `Failure` nobody below has decided; a task does one job with the actor's input, and its value is
 * the output.
 */
export function toLogic<Input, Output>(task: Task<Input, Output>, options?: SystemOptions): TaskLogic<Input, Output>
export function toLogic(definition: Definition, options?: SystemOptions): SystemLogic
export function toLogic(definition: Definition, options: SystemOptions = {}): AnyActorLogic {
  checkKeys('toLogic()', options, SYSTEM_OPTIONS)
  checkDefinition('toLogic()', definition)
  // Whoever invoked a task is told by the actor's error; printing it as well would tell it twice.
  const given = definition.kind === 'task' ? { catch: () => resume, ...options } : options
  return systemLogic(definition, () => prepare(definition, given))
}

/** Logic of one job. */
export type TaskLogic<Input, Output> = ActorLogic<Snapshot<Output> & { readonly input?: Input }, AnyEventObject, Input>

/** Logic of a system inside another machine. */
export type SystemLogic = ActorLogic<SystemSnapshot, AnyEventObject, undefined>

function prepare(root: Definition, options: SystemOptions): Prepared {
  checkDefinition('start()', root)
  refuseInThread()
  const { broker = memory(), clock = systemClock, random = Math.random } = options
  const tree = new Tree({
    name: root.name,
    clock,
    random: readFunction('start()', 'random', random),
    broker,
    log: options.log,
    plugins: readPlugins('start()', options.plugins),
  })
  const run = new Root(tree, root, readFunction('start()', 'catch', options.catch))
  const system = new System(tree, run)
  tree.system = system
  return { tree, system, run }
}

interface Prepared {
  readonly tree: Tree
  readonly system: System
  readonly run: Root
}

function checkDefinition(subject: string, root: unknown): void {
  if (isDefinition(root)) return
  throw new InvalidOptionError(subject, 'root', root, 'Pass what task(), actor() or supervisor() gave.')
}
