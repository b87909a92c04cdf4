import { MissingPackageError } from '../errors.ts'
import { peek } from '../evidence.ts'

/** A thread of Node's. */
export interface Thread {
  once(event: 'exit', listener: () => void): unknown
}

/** What is used of piscina, an optional peer. */
export interface Piscina {
  readonly threads: readonly Thread[]
  run(
    message: unknown,
    options: { readonly transferList: readonly unknown[]; readonly signal: AbortSignal },
  ): Promise<unknown>
  on(event: 'error', listener: (error: unknown) => void): this
  on(event: 'message', listener: (message: unknown) => void): this
  destroy(): Promise<void>
}

type PiscinaClass = new (options: object) => Piscina

/** Loads piscina; a missing one is told with the command to run. */
export async function importPiscina(): Promise<PiscinaClass> {
  const name = 'piscina' // an optional peer: neither compiler nor bundler may look for it
  try {
    const { Piscina } = (await import(name)) as { readonly Piscina: PiscinaClass }
    return Piscina
  } catch (error) {
    if (peek(error, 'code') !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new MissingPackageError('a task with isolate', name, [name], { cause: error })
  }
}
