import type { IncomingMessage } from 'node:http'
import type { InspectorActions } from '../inspection.ts'
import { describeThrown } from '../thrown.ts'
import { hashOf, isSame } from './gate.ts'
import type { Answer } from './server.ts'

const OF_JOB = ['replay', 'discard'] as const
const OF_CHILD = ['startChild', 'stopChild', 'restartChild'] as const

/** Does what the page asks for: the few things that a user's code could do as well. */
export async function act(
  request: IncomingMessage,
  body: string,
  hands: InspectorActions,
  control: string,
  used: (action: string, target: string) => void,
): Promise<Answer> {
  const shown = request.headers['x-rootcatch']
  if (typeof shown !== 'string' || !isSame(hashOf(control), shown)) {
    return { status: 403, body: { error: 'Only from its own page.' } }
  }
  const asked = read(body)
  if (asked === undefined) return { status: 400, body: { error: 'Send { action, id } or { action, path }.' } }
  used(asked.action, asked.target)
  try {
    const value = await hands[asked.action](asked.target)
    return { status: 200, body: { done: true, ...(typeof value === 'boolean' && { value }) } }
  } catch (error) {
    return { status: 409, body: { error: describeThrown(error) } }
  }
}

function read(body: string): { readonly action: keyof InspectorActions; readonly target: string } | undefined {
  let given: { readonly action?: unknown; readonly id?: unknown; readonly path?: unknown } | null
  try {
    given = JSON.parse(body) as typeof given
  } catch {
    return undefined
  }
  const ofJob = OF_JOB.find((action) => action === given?.action)
  if (ofJob !== undefined && typeof given?.id === 'string') return { action: ofJob, target: given.id }
  const ofChild = OF_CHILD.find((action) => action === given?.action)
  if (ofChild !== undefined && typeof given?.path === 'string') return { action: ofChild, target: given.path }
  return undefined
}
