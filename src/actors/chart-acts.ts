import type { ActorScope, AnyEventObject, AnyStateMachine, Snapshot } from 'xstate'
import { Unknown } from './unknown-chart.ts'

export type Context = Readonly<Record<string, unknown>>

type Scope = ActorScope<Snapshot<unknown>, AnyEventObject>

/** What a guard or an action is told. */
export interface Args {
  readonly context: Context
  readonly event: AnyEventObject
  readonly self?: unknown
  readonly system?: unknown
}

export type Guard = (args: Args) => unknown

type Params = (context: Context, event: AnyEventObject) => unknown

/** Gives the context with what is assigned to it. */
type Change = (args: Args, params: unknown) => Context

/** Something done on the way: changes the context, is a function of the user's, or one that XState brings along. */
export type Act =
  | { readonly kind: 'assign'; readonly change: Change; readonly params: Params }
  | { readonly kind: 'custom'; readonly type: string; readonly exec: unknown; readonly params: Params }
  | { readonly kind: 'builtin'; readonly action: Builtin; readonly params: Params }

/** An action as XState has it: what it needs is worked out in the step, and done once the step stands. */
interface Builtin {
  readonly type: string
  resolve(
    scope: Scope,
    snapshot: { readonly machine: AnyStateMachine; readonly context: Context },
    args: Args,
    params: unknown,
    action: Builtin,
    extra: { readonly internalQueue: AnyEventObject[] },
  ): [snapshot: unknown, params: unknown]
  execute(scope: Scope, params: unknown): void
}

/** Those that only need the actor they run in. */
const BUILTIN = new Set(['xstate.raise', 'xstate.cancel', 'xstate.emit'])

/** Does one after the other; gives the context they leave, and puts what they raise into the queue. */
export function perform(
  acts: readonly Act[],
  context: Context,
  event: AnyEventObject,
  at: { readonly machine: AnyStateMachine; readonly scope: Scope; readonly queue: AnyEventObject[] },
): Context {
  let now = context
  const { scope } = at
  for (const act of acts) {
    const args = { context: now, event, self: scope.self, system: scope.system }
    const params = act.params(now, event)
    if (act.kind === 'assign') {
      now = act.change(args, params)
    } else if (act.kind === 'custom') {
      scope.actionExecutor({ type: act.type, info: args, params, exec: act.exec } as never)
    } else {
      const { action } = act
      const extra = { internalQueue: at.queue }
      const [, resolved] = action.resolve(scope, { machine: at.machine, context: now }, args, params, action, extra)
      const exec = (): void => action.execute(scope, resolved)
      scope.actionExecutor({ type: action.type, info: args, params: resolved, exec } as never)
    }
  }
  return now
}

export function guardOf(machine: AnyStateMachine, given: unknown): Guard {
  const params = paramsOf(given)
  const guard: unknown = typeof given === 'function' ? given : machine.implementations.guards[nameOf(given)]
  if (typeof guard !== 'function' || 'check' in guard) throw new Unknown('a guard')
  const check = guard as (args: Args, params: unknown) => unknown
  return params === NO_PARAMS ? (check as Guard) : (args) => check(args, params(args.context, args.event))
}

export function actsOf(machine: AnyStateMachine, given: readonly unknown[]): readonly Act[] {
  return given.map((action) => actOf(machine, action))
}

/** What built-in actions keep of their arguments is no documented part of XState: where it is not found, the interpreter runs. */
function actOf(machine: AnyStateMachine, given: unknown): Act {
  const params = paramsOf(given)
  const name = nameOf(given)
  const found: unknown = typeof given === 'function' ? given : machine.implementations.actions[name]
  if (found === undefined || !('resolve' in (found as object))) {
    return { kind: 'custom', type: name, exec: found, params }
  }
  const { type, assignment } = found as { readonly type?: unknown; readonly assignment?: unknown }
  if (type === 'xstate.assign') return { kind: 'assign', change: changeOf(assignment), params }
  const { resolve, execute } = found as Partial<Builtin>
  if (!BUILTIN.has(String(type)) || typeof resolve !== 'function' || typeof execute !== 'function') {
    throw new Unknown('an action')
  }
  return { kind: 'builtin', action: found as Builtin, params }
}

function changeOf(assignment: unknown): Change {
  if (typeof assignment === 'function') {
    const partOf = assignment as Change & { readonly isWhole?: boolean }
    if (partOf.isWhole === true) return partOf // it says so itself, as the steps of the job chart do
    return (args, params) => ({ ...args.context, ...partOf(args, params) })
  }
  if (typeof assignment !== 'object' || assignment === null) throw new Unknown('an assignment')
  const [keys, values] = [Object.keys(assignment), Object.values(assignment) as readonly unknown[]]
  return (args, params) => {
    const changed: Record<string, unknown> = { ...args.context }
    for (let index = 0; index < keys.length; index += 1) {
      const value = values[index]
      changed[keys[index] as string] = typeof value === 'function' ? value(args, params) : value
    }
    return changed
  }
}

function nameOf(given: unknown): string {
  if (typeof given === 'string') return given
  const { type, name } = given as { readonly type?: unknown; readonly name?: string }
  return typeof given === 'function' ? name || '(anonymous)' : String(type)
}

const NO_PARAMS: Params = () => undefined

function paramsOf(given: unknown): Params {
  if (typeof given !== 'object' || given === null || !('params' in given)) return NO_PARAMS
  const { params } = given
  return typeof params === 'function' ? (context, event) => params({ context, event }) : () => params
}
