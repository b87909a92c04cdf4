import type { MessagePort } from 'node:worker_threads'
import type { JobLog } from '../task-context.ts'
import type { Packed } from './crossing.ts'

/** What a thread is asked for; the rest comes over the port. */
export interface Request {
  readonly task: string
  readonly module: string
  readonly port: MessagePort
}

/** The job that a thread is to do. */
export interface Work {
  readonly input: unknown
  readonly id: string
  readonly path: string
  readonly attempt: number
  readonly idempotencyKey: string
  readonly maxPayload: number
}

/** What a thread is told. */
export type Order =
  | { readonly type: 'work'; readonly work: Work }
  | { readonly type: 'leave' }
  | { readonly type: 'abort'; readonly reason: Packed }
  | { readonly type: 'slept'; readonly sleep: number; readonly error?: Packed }

/** What a thread tells while it works. */
export type Note =
  | { readonly type: 'ready' }
  | { readonly type: 'progress'; readonly value: Packed }
  | { readonly type: 'log'; readonly level: keyof JobLog; readonly message: Packed; readonly data: Packed }
  | { readonly type: 'sleep'; readonly sleep: number; readonly duration: Packed }
  | { readonly type: 'cancel'; readonly reason: Packed }

/** How the use of a thread ended. `misfit`: the body gave a value, and that is none a broker can keep. */
export type End =
  | { readonly type: 'left' }
  | { readonly type: 'value'; readonly value: unknown }
  | { readonly type: 'error' | 'misfit'; readonly error: Packed }

/** A rejection that nobody handled, of a promise that a job began. It may come when that one is long over. */
export interface Floated {
  readonly type: 'floated'
  readonly id: string
  readonly path: string
  readonly attempt: number
  readonly error: Packed
}
