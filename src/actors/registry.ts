import type { Child, ChildStatus } from './child.ts'
import type { HostedPart } from './hosted-part.ts'
import type { Root } from './root.ts'
import type { Supervision } from './supervision.ts'
import { observedOf, type Observed } from './tap.ts'
import type { HostedNode, Tree } from './tree.ts'

/** A node of the tree as it is now, with what the runtime knows of it without being asked. */
export interface NodeView {
  readonly path: string
  /** Of the supervisor above; undefined for the topmost. */
  readonly parent: string | undefined
  readonly name: string
  readonly kind: string
  readonly phase: ChildStatus | 'failed'
  readonly generation: number
  readonly isDynamic: boolean
  /** Of a task: attempts that run, and jobs that wait for their next one. */
  readonly jobs?: { readonly running: number; readonly retrying: number }
  /** Of a part of a bot or a spider, which may have no actor of its own. */
  readonly state?: unknown
  /** Its latest actor, also when that is over. */
  readonly actor: Observed | undefined
}

/** All supervisors and their children, each before what stands below it, in start order. */
export function* nodesOf(tree: Tree, root: Root): Generator<NodeView, undefined> {
  const { definition, incarnation, generation } = root
  const path = definition.name
  const phase = (incarnation?.actor.getSnapshot() as { value?: ChildStatus | 'failed' } | undefined)?.value
  const actor = incarnation && observedOf(incarnation.actor)
  if (path !== '') {
    const own = { path, parent: undefined, name: definition.name, kind: 'supervisor', isDynamic: false }
    yield { ...own, phase: phase ?? 'stopped', generation, actor }
  }
  if (incarnation !== undefined) yield* childrenOf(tree, incarnation.core, path === '' ? undefined : path)
  return undefined
}

/** One node; undefined if there is none at that path. */
export function nodeAt(tree: Tree, root: Root, path: string): NodeView | undefined {
  if (path === root.path) return nodesOf(tree, root).next().value
  const above = path.slice(0, Math.max(0, path.lastIndexOf('/')))
  const name = path.slice(above === '' ? 0 : above.length + 1)
  const child = tree.supervisors.get(above)?.childNamed(name)
  return child && viewOf(tree, child, above === '' ? undefined : above)
}

function* childrenOf(tree: Tree, core: Supervision, parent: string | undefined): Generator<NodeView, undefined> {
  for (const list of [core.statics, core.dynamics]) {
    for (const child of list) {
      yield viewOf(tree, child, parent)
      const below = child.definition.kind === 'supervisor' ? tree.supervisors.get(child.path)?.core : undefined
      if (below !== undefined) yield* childrenOf(tree, below, child.path)
      yield* partsOf(hostedOf(tree, child)?.parts() ?? [], child.path, child.status)
    }
  }
  return undefined
}

function viewOf(tree: Tree, child: Child, parent: string | undefined): NodeView {
  const { path, name, definition, status, generation, isDynamic, lastActor } = child
  const jobs = definition.kind === 'task' ? tree.tasks.get(definition)?.jobs : hostedOf(tree, child)?.jobs
  return {
    path,
    parent,
    name,
    kind: definition.kind,
    phase: status,
    generation,
    isDynamic,
    ...(jobs && { jobs }),
    actor: lastActor && observedOf(lastActor),
  }
}

function hostedOf(tree: Tree, { definition }: Child): HostedNode | undefined {
  const isHosted = definition.kind === 'bot' || definition.kind === 'spider'
  return isHosted ? tree.hosted.get(definition) : undefined
}

/** What belongs to a bot or a spider is up as long as that one is. */
function* partsOf(parts: readonly HostedPart[], parent: string, phase: ChildStatus): Generator<NodeView, undefined> {
  for (const { name, path, kind, ref, state, generation, children } of parts) {
    yield { path, parent, name, kind, phase, generation, isDynamic: false, state, actor: ref && observedOf(ref) }
    yield* partsOf(children ?? [], path, phase)
  }
  return undefined
}
