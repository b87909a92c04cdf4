import type { AnyActorLogic, AnyActorRef, AnyEventObject, Snapshot } from 'xstate'
import { SystemStoppedError } from '../errors.ts'
import type { AnyRun } from '../run.ts'
import type { Definition } from '../supervisor.ts'
import type { AnyTask } from '../task.ts'
import { Host, type AnyActorScope } from './chart.ts'
import type { Root } from './root.ts'

/** A system as a machine around it sees it. */
export type SystemSnapshot = Snapshot<undefined> & {
  readonly context: { readonly phase: 'starting' | 'running' }
}

/** What `start.ts` prepares for one actor of the logic. */
export interface Prepared {
  readonly run: Root
  readonly system: { run(task: AnyTask, input: never): AnyRun }
}

const READY = 'rootcatch.ready'
const OVER = 'rootcatch.over'
const FAILED = 'rootcatch.failed'

type Live = Prepared & { job?: AnyRun; isAsked?: true }

/** Logic of a system that lives under somebody else's actor. `prepare` is called once for each such actor. */
export function systemLogic(definition: Definition, prepare: () => Prepared): AnyActorLogic {
  const isTask = definition.kind === 'task'
  const lives = new WeakMap<AnyActorRef, Live>()

  const begin = async (live: Live, self: AnyActorRef, scope: AnyActorScope, input: unknown): Promise<void> => {
    const tell = (event: AnyEventObject): void => {
      if (self.getSnapshot().status === 'active') self.send(event) // its own end is told to nobody
    }
    try {
      if (isTask) live.run.doOneJob()
      await live.run.start(Host.of(scope))
      tell({ type: READY })
      if (isTask) {
        live.job = live.system.run(definition, input as never)
        const output = await live.job
        await live.run.stop()
        tell({ type: OVER, output })
      } else {
        await live.run.done
        tell({ type: OVER })
      }
    } catch (error) {
      await live.run.stop()
      const isUnwound = live.isAsked === true && error instanceof SystemStoppedError // asked to stop while it started
      tell(isUnwound && !isTask ? { type: OVER } : { type: FAILED, error })
    }
  }

  const initial = { status: 'active', output: undefined, error: undefined, context: { phase: 'starting' } } as const
  return {
    getInitialSnapshot: (_scope, input: unknown) => ({ ...initial, input }),
    start: (snapshot, scope) => {
      const self = scope.self as unknown as AnyActorRef
      const live: Live = prepare()
      lives.set(self, live)
      const { input } = snapshot as { input?: unknown }
      void begin(live, self, scope as unknown as AnyActorScope, input)
    },
    transition: (snapshot, event: AnyEventObject, scope) => {
      const live = lives.get(scope.self as unknown as AnyActorRef)
      switch (event.type) {
        case READY:
          return { ...snapshot, context: { phase: 'running' } }
        case OVER:
          return { ...snapshot, status: 'done', output: event['output'] }
        case FAILED:
          return { ...snapshot, status: 'error', error: event['error'] }
        case 'xstate.stop':
          live?.run.kill()
          return { ...snapshot, status: 'stopped' }
        case 'shutdown':
          if (live !== undefined) live.isAsked = true
          void live?.run.stop()
          return snapshot
        default:
          return snapshot
      }
    },
    getPersistedSnapshot: (snapshot: Snapshot<unknown>) => ({ ...snapshot }),
  } as AnyActorLogic
}
