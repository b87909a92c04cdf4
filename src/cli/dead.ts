import type { Broker, DeadLetter, DeadLetterFilter } from '../brokers/broker.ts'
import { oneLine } from '../evidence.ts'
import { confirm } from './confirm.ts'
import { findTask, readFilter, type FilterOptions } from './dead-filter.ts'
import { idsOf, pageOf } from './dead-letters.ts'
import { letterText, listText } from './dead-text.ts'
import { paint, print, remark, widthOf } from './output.ts'
import { redactData } from '../secrets.ts'
import { withStore } from './store.ts'
import { UsageError } from './usage-error.ts'

export interface DeadOptions extends FilterOptions {
  readonly broker?: string
  readonly json?: true
  readonly all?: true
  readonly yes?: true
  readonly verbose?: true
}

const LISTED = 50
/** So many share a commit. */
const TOGETHER = 100

export async function listDead(options: DeadOptions): Promise<number> {
  const { limit = LISTED, ...filter } = readFilter(options, Date.now())
  return withStore(options.broker, async (broker, where) => {
    const { letters, isMore } = await pageOf(broker, await located(broker, filter), limit)
    if (options.json) print(JSON.stringify(letters.map(redactData), undefined, 2))
    else if (letters.length > 0) {
      const [head = '', ...rows] = listText(letters, Date.now(), widthOf())
      print([paint('bold', head), ...rows].join('\n'))
    }
    if (isMore)
      remark(`There are more than these ${limit}. See them with --limit ${limit * 10}, or by --task, --since.`)
    return letters.length > 0 ? 0 : nothing(where)
  })
}

export async function showDead(ids: readonly string[], options: DeadOptions): Promise<number> {
  return withStore(options.broker, async (broker, where) => {
    const letters: DeadLetter[] = []
    for (const id of ids) {
      const letter = await broker.deadLetter(id)
      if (letter === undefined) missing(id, where)
      else letters.push(letter)
    }
    if (options.json) print(JSON.stringify(letters.map(redactData), undefined, 2))
    else {
      const texts = letters.map((letter) => letterText(letter, Date.now(), options.verbose === true))
      if (texts.length > 0)
        print(texts.map(([head = '', ...rest]) => [paint('bold', head), ...rest].join('\n')).join('\n\n'))
    }
    return letters.length === ids.length ? 0 : 1
  })
}

export async function replayDead(ids: readonly string[], options: DeadOptions): Promise<number> {
  return forEachOf(ids, options, {
    verb: 'replay',
    done: 'replayed',
    asks: ids.length === 0,
    work: async (broker, id) => (await broker.replay(id, undefined)) !== undefined,
  })
}

export async function discardDead(ids: readonly string[], options: DeadOptions): Promise<number> {
  return forEachOf(ids, options, {
    verb: 'discard',
    done: 'discarded',
    asks: true,
    work: async (broker, id) => broker.discard(id),
  })
}

interface Change {
  readonly verb: string
  readonly done: string
  readonly asks: boolean
  /** Whether it was there. */
  readonly work: (broker: Broker, id: string) => Promise<boolean>
}

async function forEachOf(named: readonly string[], options: DeadOptions, change: Change): Promise<number> {
  const filter = readFilter(options, Date.now())
  checkChoice(named, options, change)
  return withStore(options.broker, async (broker, where) => {
    const ids = named.length > 0 ? [...new Set(named)] : await idsOf(broker, await located(broker, filter))
    if (ids.length === 0) return nothing(where)
    if (change.asks && options.yes !== true) {
      const isMeant = await confirm(`${capital(change.verb)} ${count(ids.length)} of ${where}?`)
      if (!isMeant) {
        remark('Nothing was changed.')
        return 1
      }
    }
    const changed: string[] = []
    for (let from = 0; from < ids.length; from += TOGETHER) {
      const part = ids.slice(from, from + TOGETHER)
      const wereThere = await Promise.all(part.map((id) => change.work(broker, id)))
      changed.push(...part.filter((_, at) => wereThere[at]))
      for (const id of part.filter((_, at) => !wereThere[at])) missing(id, where)
    }
    if (options.json) print(JSON.stringify({ [change.done]: changed }))
    else print(`${change.done} ${count(changed.length)}`)
    return changed.length === ids.length || (named.length === 0 && changed.length > 0) ? 0 : 1
  })
}

function checkChoice(named: readonly string[], options: DeadOptions, { verb }: Change): void {
  const { all, task, kind, since, limit } = options
  const isFiltered = [task, kind, since, limit].some((one) => one !== undefined)
  if (named.length > 0 && (all === true || isFiltered)) {
    throw new UsageError(`dead ${verb} got ids and a choice of its own. Name ids, or use --all with its filters.`)
  }
  if (named.length === 0 && all !== true) {
    throw new UsageError(`dead ${verb} does not know what to ${verb}. Name ids, or add --all.`)
  }
}

async function located(broker: Broker, filter: DeadLetterFilter): Promise<DeadLetterFilter> {
  if (filter.task === undefined) return filter
  const { path, hint } = await findTask(broker, filter.task)
  if (hint !== undefined) remark(`There is no task "${oneLine(path)}" in this store. Did you mean ${oneLine(hint)}?`)
  return { ...filter, task: path }
}

function nothing(where: string): number {
  remark(`No dead letter of ${where} matches.`)
  return 1
}

function missing(id: string, where: string): void {
  remark(`There is no dead letter ${oneLine(id, 100)} in ${where}.`)
}

function count(letters: number): string {
  return letters === 1 ? '1 dead letter' : `${letters} dead letters`
}

function capital(word: string): string {
  return `${word.charAt(0).toUpperCase()}${word.slice(1)}`
}
