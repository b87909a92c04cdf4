import { task } from 'rootcatch'

export const one = task('twin', { isolate: true }, () => 1)
export const other = task('twin', () => 2)
