import type { Child, ChildStatus } from './actors/child.ts'
import type { HostedPart } from './actors/hosted-part.ts'
import type { Root } from './actors/root.ts'
import type { Supervision } from './actors/supervision.ts'
import type { Tree } from './actors/tree.ts'
import type { RestartType } from './child.ts'
import type { Definition } from './supervisor.ts'

/** A node of the running tree. */
export interface TreeNode {
  readonly name: string
  readonly path: string
  /** Below a bot also `poller` and `boundary`. */
  readonly kind: Definition['kind'] | (string & {})
  readonly status: ChildStatus
  /** Of its chart: `running`, `restarting`, … for a supervisor; whatever a user's machine has. */
  readonly state: unknown
  readonly restart: RestartType
  readonly generation: number
  readonly isDynamic: boolean
  /** Of a task: attempts that run, and jobs that wait for their next one. */
  readonly jobs?: { readonly running: number; readonly retrying: number }
  /** Of a task with a schedule: when it makes its next job, in ms since 1970. */
  readonly nextTick?: number
  readonly children?: readonly TreeNode[]
}

/** The tree as it is. A root that is not a supervisor is itself the only node. */
export function treeOf(tree: Tree, root: Root): TreeNode {
  const { definition, incarnation, generation } = root
  const children = incarnation === undefined ? [] : childrenOf(tree, incarnation.core)
  const [only] = children
  if (definition.name === '' && only !== undefined) return only
  const snapshot = incarnation?.actor.getSnapshot() as { value?: ChildStatus | 'failed' } | undefined
  const state = incarnation === undefined ? 'stopped' : snapshot?.value
  return {
    name: definition.name,
    path: definition.name,
    kind: 'supervisor',
    status: state === 'failed' || state === undefined ? 'stopped' : state,
    state,
    restart: definition.child.restart,
    generation,
    isDynamic: false,
    children,
  }
}

function childrenOf(tree: Tree, core: Supervision): readonly TreeNode[] {
  return [...core.statics, ...core.dynamics].map((child) => nodeOf(tree, child))
}

function nodeOf(tree: Tree, child: Child): TreeNode {
  const { definition, name, path, status, generation, isDynamic } = child
  const snapshot = child.lastActor?.getSnapshot() as { value?: unknown; status?: unknown } | undefined
  const supervision = definition.kind === 'supervisor' ? tree.supervisors.get(path)?.core : undefined
  const queue = definition.kind === 'task' ? tree.tasks.get(definition) : undefined
  const isHosted = definition.kind === 'bot' || definition.kind === 'spider'
  const hosted = isHosted ? tree.hosted.get(definition) : undefined
  return {
    name,
    path,
    kind: definition.kind,
    status,
    state: snapshot?.value ?? snapshot?.status,
    restart: child.policy.restart,
    generation,
    isDynamic,
    ...(hosted && { jobs: hosted.jobs, children: hosted.parts().map((part) => partNode(part, status)) }),
    ...(queue && { jobs: queue.jobs }),
    ...(queue?.nextTick !== undefined && { nextTick: queue.nextTick }),
    ...(supervision && { children: childrenOf(tree, supervision) }),
  }
}

/** What belongs to a bot or a spider is up as long as that one is. */
function partNode({ children, ...part }: HostedPart, status: ChildStatus): TreeNode {
  return {
    ...part,
    status,
    isDynamic: false,
    ...(children && { children: children.map((each) => partNode(each, status)) }),
  }
}
