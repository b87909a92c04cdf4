import '../node-version.ts'

export { manualClock, type ManualClock } from './manual-clock.ts'
export { settle } from './settle.ts'
export { website, type Website, type WebsiteOptions, type WebsiteRequest, type WebsiteRoute } from './website.ts'
