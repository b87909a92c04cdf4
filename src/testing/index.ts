import '../node-version.ts'

export { manualClock, type ManualClock } from './manual-clock.ts'
export { settle } from './settle.ts'
