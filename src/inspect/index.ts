import '../node-version.ts'

export { inspector } from './inspector.ts'
export type { InspectorOptions, Redact } from './options.ts'
export type { Inspector, InspectorHandle } from '../inspection.ts'
