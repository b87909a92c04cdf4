import { task } from 'rootcatch'

export const inside = { hidden: task('hidden', { isolate: true }, () => 1) }
