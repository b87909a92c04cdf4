import { logOf } from '../actors/attempt-context.ts'
import type { JobActor } from '../actors/job.ts'
import type { Tree } from '../actors/tree.ts'
import { oneLine } from '../evidence.ts'
import type { Failure } from '../failure.ts'
import { describeThrown, isPluginTrigger, nameOf } from '../thrown.ts'
import type { Collection } from './collect.ts'
import type { Deadlines } from './deadlines.ts'
import { HandlerTimeoutError, type RetryError } from './errors.ts'
import type { GiveUp } from './give-up.ts'
import { PageContext, type CrawledPage, type Handled, type HandlerContext } from './handler.ts'
import type { CrawlRequest } from './request.ts'
import { limitsOf, type RequestRun } from './request-run.ts'
import type { SpiderDefinition } from './spider-definition.ts'
import type { Numbers } from './stats.ts'

/** What a crawl lends to the calls of its handlers. */
export interface Calling {
  readonly tree: Tree
  readonly spider: SpiderDefinition
  readonly subject: string
  readonly numbers: Numbers
  readonly deadlines: Deadlines
  /** Throws for a request that no handler is there for. */
  check(request: CrawlRequest): void
}

/** Calls the handler of a page; a promise only where the handler makes it wait. */
export function handle(run: RequestRun, page: CrawledPage, calling: Calling): Promise<undefined> | undefined {
  const { spider, numbers } = calling
  const { tally, request } = run
  const names = numbers.namesOf(request.name)
  run.pageUrl = page.url
  const call = new Call(run, calling)
  const context = new PageContext(page, request.on(page), call) as HandlerContext<unknown>
  const failed = (thrown: unknown): never => {
    noteHandlerError(run, thrown, page.url)
    call.end()
    throw thrown
  }
  const ended = (): undefined => {
    call.end()
    tally.add(names.pageOk)
  }
  tally.add('page')
  tally.add(names.page)
  let later: Promise<void> | undefined
  try {
    later = call.begin(() => spider.handlers.get(request.name)?.(context))
  } catch (thrown) {
    return failed(thrown)
  }
  return later === undefined ? ended() : later.then(ended, failed)
}

/** Calls the fallback of a request once. */
export async function fallBack(run: RequestRun, failure: Failure, calling: Calling): Promise<undefined> {
  const { request, tally } = run
  const fallback = calling.spider.fallbacks.get(request.name)
  run.giveUpAnew()
  const call = new Call(run, calling)
  const context = { emit: (item: unknown) => call.emit(item), log: logOf(call), signal: call.signal }
  tally.add('fallback')
  tally.add(`fallback-${request.name}`)
  try {
    await call.begin(() => fallback?.(request, failure, context))
  } catch (error) {
    tally.add('fallback-error')
    throw error
  } finally {
    call.end()
  }
  return undefined
}

/** One call of a handler or fallback, under its timeout. */
class Call implements Handled {
  readonly #run: RequestRun
  readonly #calling: Calling
  readonly #collection: Collection
  readonly #giveUp: GiveUp

  constructor(run: RequestRun, calling: Calling) {
    this.#run = run
    this.#calling = calling
    this.#collection = run.collect(run.request.name, calling.subject, calling.check)
    this.#giveUp = run.giveUp as GiveUp
  }

  get tree(): Tree {
    return this.#calling.tree
  }

  get id(): string {
    return this.#run.id
  }

  get path(): string {
    return (this.#run.job as JobActor).path
  }

  get attempt(): number {
    return (this.#run.job as JobActor).attempt
  }

  get signal(): AbortSignal {
    return this.#giveUp.signal
  }

  get taskTryLimit(): number {
    return limitsOf(this.#run, this.#calling.spider).task
  }

  emit(item: unknown): void {
    this.#collection.emit(item)
  }

  retries(error: RetryError, delay: number | undefined): void {
    this.#run.retry = { error, delay }
  }

  begin(call: () => unknown): Promise<void> | undefined {
    this.#giveUp.tell(() => this.#collection.end())
    const later = this.#collection.follow(call())
    return later === undefined ? undefined : this.#wait(later)
  }

  /** From now on nothing of it is taken. */
  end(): void {
    this.#giveUp.tell(undefined)
    this.#collection.end()
  }

  #wait(later: Promise<void>): Promise<void> {
    const { spider, deadlines } = this.#calling
    const { handlerTimeout } = spider.settings
    const { name, url } = this.#run.request
    return new Promise((resolve, reject) => {
      const deadline = deadlines.begin(handlerTimeout, () => {
        const error = new HandlerTimeoutError(name, url, handlerTimeout)
        this.#giveUp.giveUp(error)
        reject(error)
      })
      later.then(
        () => {
          deadline.end()
          resolve()
        },
        (error: unknown) => {
          deadline.end()
          reject(error)
        },
      )
    })
  }
}

function noteHandlerError({ retry, tally, request }: RequestRun, thrown: unknown, url: string): void {
  if (retry !== undefined && Object.is(retry.error, thrown)) return tally.add('retry-task')
  const kind = nameOf(thrown) ?? typeof thrown
  tally.add(`page-${request.name}-error`)
  tally.add(`handler-error-${kind}`)
  if (isPluginTrigger(thrown)) return
  tally.line('handler-error', `${request.name}|${kind}|${oneLine(describeThrown(thrown), 300)}|${url}`)
}
