import type { Update } from 'grammy/types'
import { peek } from '../evidence.ts'
import { InputError } from '../errors.ts'
import type { Updates } from './updates.ts'

/** Whether it has a number, which is all that admitting it needs. */
export function isUpdate(value: unknown): value is Update {
  return typeof value === 'object' && value !== null && Number.isSafeInteger(peek(value, 'update_id'))
}

/** Without a number there is nothing to run it under, and nothing to confirm. */
export function reportMalformed({ tree, path }: Updates, update: unknown): void {
  const given = update === null ? 'null' : typeof update
  const issue = { path: 'update_id', message: `expected a whole number, in an update that is ${given}` }
  tree.events.emit('job.refused', { path, error: new InputError(path, [issue], 'It was left out', 'bot') })
}

/** What a store cannot keep, such as one that is nested too deep. */
export function reportUnkeepable({ tree, path }: Updates, error: unknown): void {
  tree.events.emit('job.refused', { path, error })
}
