import { InvalidOptionError } from '../errors.ts'

/** The number of the death to go on behind, out of the cursor of a dead letter; the highest there is for none. */
export function readCursor(cursor: string | undefined): number {
  if (cursor === undefined) return Number.MAX_SAFE_INTEGER
  const death = /^\d{1,15}$/.test(cursor) ? Number(cursor) : undefined
  if (death !== undefined) return death
  throw new InvalidOptionError('dead.list()', 'cursor', cursor, 'Pass the cursor of a letter that list() gave.')
}
