import { nodeAt, nodesOf } from './actors/registry.ts'
import type { Root } from './actors/root.ts'
import type { Tree } from './actors/tree.ts'
import { UnknownPathError } from './errors.ts'
import type { EventData } from './events.ts'
import type { Inspected, InspectorActions } from './inspection.ts'
import type { System } from './system.ts'

/** What an inspector is handed: eyes, and hands only if it may act. */
export function inspectedOf(tree: Tree, root: Root, system: System, mayAct: boolean): Inspected {
  return {
    name: root.path || tree.name,
    system,
    dead: system.dead,
    observe: (sink) => tree.tap.observe(sink),
    nodes: () => nodesOf(tree, root),
    left: () => tree.left,
    node: (path) => nodeAt(tree, root, path),
    jobs: (path) => {
      for (const source of tree.sources()) if (source.path === path) return source.liveJobs()
      return []
    },
    tell: (name, data) => tree.events.emit(name, { path: root.path, ...data } as EventData[typeof name]),
    act: mayAct ? actionsOf(system) : undefined,
  }
}

/** Nothing but what a user's code could do with its system. */
function actionsOf(system: System): InspectorActions {
  const child = async (path: string): Promise<readonly [ReturnType<System['supervisor']>, string]> => {
    const at = path.lastIndexOf('/')
    if (at < 0) throw new UnknownPathError(path, [])
    return [system.supervisor(path.slice(0, at)), path.slice(at + 1)]
  }
  return {
    replay: async (id) => {
      await system.dead.replay(id)
    },
    discard: (id) => system.dead.discard(id),
    startChild: async (path) => {
      const [above, name] = await child(path)
      await above.restartChild(name)
    },
    stopChild: async (path) => {
      const [above, name] = await child(path)
      await above.stopChild(name)
    },
    restartChild: async (path) => {
      const [above, name] = await child(path)
      await above.stopChild(name)
      await above.restartChild(name)
    },
  }
}
