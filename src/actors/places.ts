import { DuplicateNameError, InvalidOptionError } from '../errors.ts'
import type { Definition } from '../supervisor.ts'
import type { AnyTask } from '../task.ts'

/** The path of a child; the implicit root of a system that is not a supervisor has the empty path. */
export const pathOf = (parent: string, name: string): string => (parent === '' ? name : `${parent}/${name}`)

/**
 * Where each definition of a subtree will stand. Throws if one stands at two places, or inside itself, before anything
 * is started.
 */
export function placesOf(root: Definition, path: string): ReadonlyMap<Definition, string> {
  const places = new Map<Definition, string>()
  const place = (definition: Definition, at: string, above: ReadonlySet<Definition>): void => {
    if (above.has(definition)) {
      throw new InvalidOptionError(
        nameOf(definition),
        'children',
        at,
        'It contains itself; take it out of its own list.',
      )
    }
    const earlier = places.get(definition)
    if (earlier !== undefined) throw DuplicateNameError.ofPlaces(nameOf(definition), earlier, at)
    places.set(definition, at)
    if (definition.kind !== 'supervisor') return
    const inside = new Set(above).add(definition)
    for (const child of definition.children) place(child, pathOf(at, child.name), inside)
  }
  place(root, path, new Set())
  return places
}

/** Refuses a subtree with a task that already stands somewhere else: `system.run` could not tell the two apart. */
export function checkTasks(root: Definition, path: string, taskAt: (task: AnyTask) => string | undefined): void {
  for (const [definition, at] of placesOf(root, path)) {
    const standsAt = definition.kind === 'task' ? taskAt(definition) : undefined
    if (standsAt !== undefined && standsAt !== at) throw DuplicateNameError.ofPlaces(nameOf(definition), standsAt, at)
  }
}

const nameOf = (definition: Definition): string => `${definition.kind} "${definition.name}"`
