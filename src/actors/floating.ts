import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import { peek } from '../evidence.ts'

/** Whose code is running: the job, without its input, so that whatever outlives it holds little. */
export interface Origin {
  readonly path: string
  readonly id: string
  readonly attempt: number
  /** Takes a rejection that nobody handled. */
  readonly floated: (error: unknown, origin: Origin) => void
}

/** That of a job. A class, for V8 would make all literals of one kind in its old space once many of them live long. */
export class JobOrigin implements Origin {
  readonly path: string
  readonly id: string
  readonly attempt: number
  readonly floated: Origin['floated']

  constructor({ path, id, attempt }: Omit<Origin, 'floated'>, floated: Origin['floated']) {
    this.path = path
    this.id = id
    this.attempt = attempt
    this.floated = floated
  }
}

/** One for the process, as its events are: promises of two systems meet in one listener. */
const origins = new AsyncLocalStorage<Origin>()
let liveSystems = 0

/** Where nobody's context is: made while the module loads, so it belongs to none of those who use it. */
const nowhere = new AsyncResource('rootcatch')
/** Whether what runs now runs there, so that it need not be asked for and kept. */
let isNowhere = false

/**
 * Runs what begins jobs that others asked for. Whoever happened to wake it lends them no context of theirs; and from here
 * a job's own costs a fifth of what it does elsewhere, for there is none to go back to.
 */
export function runNowhere(body: () => void): void {
  nowhere.runInAsyncScope(callNowhere, undefined, body)
}

function callNowhere(body: () => void): void {
  const outer = isNowhere
  isNowhere = true
  try {
    body()
  } finally {
    isNowhere = outer
  }
}

/** Whether what runs now runs nowhere: then so does what follows a promise that it waits for. */
export function runsNowhere(): boolean {
  return isNowhere
}

/** Goes on after a promise that was waited for nowhere: that context is there again, and known to be. */
export function goOnNowhere<Of, Given>(step: (of: Of, given: Given) => void, of: Of, given: Given): void {
  const outer = isNowhere
  isNowhere = true
  try {
    step(of, given)
  } finally {
    isNowhere = outer
  }
}

/** Runs what a user hands in, who may have a context of theirs also where what runs around it has none. */
export function runHandedIn(body: () => void): void {
  const outer = isNowhere
  isNowhere = false
  try {
    body()
  } finally {
    isNowhere = outer
  }
}

const settled = Promise.resolve()
const { then: thenOfNode } = Promise.prototype

/** Whether what follows it runs where it was waited for; one that a user changed may call back from anywhere. */
export function comesBack(promise: Promise<unknown>): boolean {
  return promise.then === thenOfNode
}

/** Takes a step once what runs now is over, in the same context. */
export function laterHere<Of>(step: (of: Of) => void, of: Of): void {
  if (isNowhere && comesBack(settled)) void settled.then(() => goOnNowhere(step, of, undefined))
  else void settled.then(() => step(of))
}

/** From Node 24 on `run` copies all stores there are to go in, and once more to come back; a resource comes back for nothing. */
const isCopied = Number.parseInt(process.versions.node) >= 24

/** Runs a user's function so that what it leaves floating is known to be of this job. */
export function runAs<Given, Result>(origin: Origin, body: (given: Given) => Result, given: Given): Result {
  if (!isNowhere) {
    if (!isCopied) return origins.run(origin, body, given)
    return new AsyncResource('rootcatch').runInAsyncScope(enter, undefined, origin, body as never, given) as Result
  }
  isNowhere = false
  try {
    return nowhere.runInAsyncScope(enter, undefined, origin, body as never, given) as Result
  } finally {
    isNowhere = true
  }
}

function enter<Given, Result>(origin: Origin, body: (given: Given) => Result, given: Given): Result {
  origins.enterWith(origin) // the scope around it ends what this begins
  return body(given)
}

/** Runs without an origin: what is begun here belongs to no job. */
export function runAsNobody<Result>(body: () => Result): Result {
  return isNowhere || origins.getStore() === undefined ? body() : origins.exit(body)
}

/** Whose code is running now. */
export function originNow(): Origin | undefined {
  return origins.getStore()
}

const answering: unique symbol = Symbol('rootcatch.answering')

/** What is to be done about an error that came to nobody. */
interface Answering {
  unhandled: (() => Promise<void>) | undefined
}

/**
 * Lets an error that comes to nobody be told to the one who made it. It is kept with the error, for a collector has more
 * work with a WeakMap than with all the rest of a failure.
 */
export function answerFor(error: Error, unhandled: () => Promise<void>): void {
  const kept: Answering = { unhandled }
  Object.defineProperty(error, answering, { value: kept })
}

/** What its maker said is to be done about it; once. */
export function takeAnswer(error: unknown): (() => Promise<void>) | undefined {
  const kept = peek(error, answering)
  if (typeof kept !== 'object' || kept === null) return undefined
  const { unhandled } = kept as Answering
  ;(kept as Answering).unhandled = undefined // here and not on the error: that may be frozen by now
  return unhandled
}

/** Listens while a system is live; call what it gives once that one has stopped. */
export function watchFloating(): () => void {
  liveSystems += 1
  if (liveSystems === 1) {
    process.on('unhandledRejection', onUnhandledRejection)
    process.on('uncaughtExceptionMonitor', onUncaughtException)
  }
  let isWatching = true
  return () => {
    if (!isWatching) return
    isWatching = false
    liveSystems -= 1
    if (liveSystems > 0) return
    process.off('unhandledRejection', onUnhandledRejection)
    process.off('uncaughtExceptionMonitor', onUncaughtException)
  }
}

function onUnhandledRejection(error: unknown): void {
  const unhandled = takeAnswer(error)
  if (unhandled !== undefined) return runAsNobody(() => void unhandled())
  const origin = origins.getStore()
  if (origin !== undefined) return origins.exit(() => origin.floated(error, origin))
  // Not ours. Where nobody else listens, Node would end the process; our listener must not keep it from that.
  if (process.listenerCount('unhandledRejection') === 1) throw error
}

/** It still ends the process; this line says whose timer or emitter it was. */
function onUncaughtException(): void {
  const origin = origins.getStore()
  if (origin !== undefined) process.stderr.write(`rootcatch: the uncaught exception was thrown by ${origin.path}\n`)
}
