import type { Inspected, Inspector } from '../../src/inspection.ts'
import { inspectorBrand } from '../../src/inspection.ts'

/** An inspector that only hands over what it was handed. */
export function lookingOn(): { readonly inspector: Inspector; inspected(): Inspected } {
  let handed: Inspected | undefined
  const open = {
    url: '',
    link: () => '',
    viewers: 0,
    observing: false,
    acceptUrl: undefined,
    close: async () => {},
  }
  const inspector: Inspector = {
    control: false,
    [inspectorBrand]: async (inspected) => {
      handed = inspected
      return open
    },
  }
  return {
    inspector,
    inspected: () => {
      if (handed === undefined) throw new Error('start() has not opened it yet.')
      return handed
    },
  }
}
