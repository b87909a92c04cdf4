import { inspectorBrand, type Inspector } from '../inspection.ts'
import { readOptions, type InspectorOptions } from './options.ts'

/**
 * What shows a system live: a local page, and a bridge to Stately's inspector. The link to it is printed when the system
 * starts, and works once.
 *
 * @example
 * await using system = await start(app, { inspect: inspector() })
 */
export function inspector(options: InspectorOptions = {}): Inspector {
  const policy = readOptions(options)
  return Object.freeze({
    control: policy.control,
    // What it is made of is loaded when a system starts with it.
    [inspectorBrand]: async (inspected) => {
      const { openInspector } = await import('./open.ts')
      return openInspector(inspected, policy)
    },
  } satisfies Inspector)
}
