import { formatDuration } from '../duration.ts'
import { describeThrown } from '../thrown.ts'
import { away, isOfTheWay } from './postgres-errors.ts'
import type { Link } from './postgres-link.ts'
import { isPlain, type JobWords } from './postgres-row.ts'

/** How a call bears that Postgres is away: what a worker does waits for it, what a caller asks for fails soon. */
export type Patience = 'waits' | 'fails'

/** A call as `turn` reads it: `o` says what it is. */
export type Words = Readonly<Record<string, unknown>> & { readonly o: string }

export interface Given {
  readonly words: Words
  /** Rows it touches, about. */
  readonly rows: number
  readonly patience: Patience
  /** Whether it is to survive the end of the server. What processes agree on need not, for none of them does. */
  readonly lasts: boolean
  /** Queues to which it adds jobs, one for each or one for several. */
  readonly added?: readonly string[]
  /** Queues of which it ends jobs that are held here, one for each. */
  readonly freed?: readonly string[]
}

/** What a turn came to, beside the answers to its calls. */
export interface TurnAnswer {
  readonly out: readonly unknown[]
  readonly woken: readonly number[]
  readonly ended: readonly string[]
  readonly orphaned: readonly number[]
  readonly due: number | null
  readonly until: number | null
}

/** Jobs that a turn takes along. */
export interface Want {
  readonly queue: string
  readonly limit: number
  readonly words: Words
}

interface TakingAlong {
  /** What a turn may take along that adds jobs to queues and frees slots of others. */
  wants(added: readonly string[], freed: readonly string[]): readonly Want[]
  tookAlong(want: Want, answer: unknown): void
  /** The turn that was to take them along has no answer. */
  lost(wants: readonly Want[]): void
  /** A call that frees slots is not sent. */
  unplan(queues: readonly string[]): void
  /** No answer came, so that jobs may be held here of which nobody knows. */
  doubt(): void
}

export interface TurnHands {
  /** What every turn says, without its calls. `expires`: whether it looks for leases that are over. */
  heading(expires: boolean): Readonly<Record<string, unknown>>
  committed(answer: TurnAnswer): void
  /** What goes to the store takes jobs along. */
  readonly taking: TakingAlong
}

interface Call extends Given {
  readonly until: number
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: unknown) => void
}

/** Calls that go as one, and what each of them hears of their answers. */
interface Group {
  readonly words: Words
  readonly calls: readonly Call[]
  /** How many answers belong to each; undefined: to the one call all of them. */
  readonly counts: readonly number[] | undefined
}

const PATIENCE: Readonly<Record<Patience, number>> = { waits: 10_000, fails: 1_000 }
const LISTS = ['s', 'j', 'e', 'm'] as const
const ROWS_AT_ONCE = 1_000

/** Sends what is asked for as one statement while the one before is on its way: the calls share one transaction. */
export class Turns {
  readonly #link: Link
  readonly #turn: string
  readonly #hands: TurnHands
  #calls: Call[] = []
  #isFlushDue = false
  #patience: NodeJS.Timeout | undefined
  #isSending = false
  #onDrained: (() => void) | undefined

  constructor(link: Link, turn: string, hands: TurnHands) {
    this.#link = link
    this.#turn = `SELECT ${turn}($1::json, $2::json[])`
    this.#hands = hands
  }

  run(given: Given): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#calls.push({ ...given, until: performance.now() + PATIENCE[given.patience], resolve, reject })
      this.flush()
    })
  }

  /** Also when the connection is there again. */
  flush(): void {
    if (this.#calls.length === 0 || this.#isSending) return
    if (!this.#link.isReady) return this.#losePatience()
    if (this.#isFlushDue) return
    this.#isFlushDue = true
    setImmediate(() => {
      this.#isFlushDue = false
      if (!this.#isSending && this.#link.isReady) void this.#send(this.#some())
      else this.flush()
    })
  }

  /** Resolves when nothing waits any more, and whoever was answered last has had a turn to say what follows from it. */
  async drained(): Promise<void> {
    do {
      if (this.#calls.length > 0 || this.#isSending) await new Promise<void>((resolve) => (this.#onDrained = resolve))
      await new Promise<void>((resolve) => setImmediate(resolve))
    } while (this.#calls.length > 0 || this.#isSending)
  }

  /** Nobody waits any longer. */
  close(error: unknown): void {
    clearTimeout(this.#patience)
    this.#patience = undefined
    for (const call of this.#calls.splice(0)) call.reject(error)
    this.#rest()
  }

  #some(): readonly Call[] {
    let rows = 0
    let count = 0
    for (const call of this.#calls) {
      rows += call.rows
      if (count > 0 && rows > ROWS_AT_ONCE) break
      count += 1
    }
    return this.#calls.splice(0, count)
  }

  async #send(calls: readonly Call[]): Promise<void> {
    this.#isSending = true
    const failed = await this.#try(calls)
    // One that cannot be done is answered alone, and the others are tried again.
    if (failed === 'one of them') {
      for (const call of calls) await this.#try([{ ...call, added: [], freed: [] }]) // these have been looked at
    }
    this.#isSending = false
    if (this.#calls.length > 0) this.flush()
    else this.#rest()
  }

  /** Nothing is written of calls one of which cannot be done. */
  async #try(calls: readonly Call[]): Promise<'one of them' | undefined> {
    const { taking } = this.#hands
    const groups = groupsOf(calls)
    const wants = taking.wants(
      calls.flatMap(({ added = [] }) => added),
      calls.flatMap(({ freed = [] }) => freed),
    )
    const lists: string[] = []
    const takes = wants.length > 0 || calls.some(({ words: { o } }) => o === 'take' || o === 'expire')
    try {
      const words = {
        ...this.#hands.heading(takes),
        lasts: calls.some(({ lasts }) => lasts),
        calls: [...groups, ...wants].map(({ words: short }) => withoutLists(short, lists)),
      }
      const [row] = await this.#link.write(this.#turn, [JSON.stringify(words), lists])
      const answer = JSON.parse(row?.[0] as string) as TurnAnswer
      for (const [index, group] of groups.entries()) answerTo(group, answer.out[index])
      for (const [index, want] of wants.entries()) taking.tookAlong(want, answer.out[groups.length + index])
      this.#hands.committed(answer)
      return undefined
    } catch (error) {
      const isWay = isOfTheWay(error)
      taking.lost(wants)
      if (isWay && takes) taking.doubt()
      if (!isWay && calls.length > 1) return 'one of them'
      for (const call of calls) call.reject(this.#link.explain(error))
      return undefined
    }
  }

  #losePatience(): void {
    this.#patience ??= setTimeout(() => {
      this.#patience = undefined
      const now = performance.now()
      const late = this.#calls.filter(({ until }) => until <= now)
      this.#calls = this.#calls.filter((call) => !late.includes(call))
      for (const call of late) {
        this.#hands.taking.unplan(call.freed ?? [])
        call.reject(this.#tooLate(call))
      }
      if (this.#calls.length > 0) this.flush()
      else this.#rest()
    }, 100)
  }

  #tooLate({ patience }: Call): unknown {
    const { problem, name } = this.#link
    const explained = problem === undefined ? undefined : this.#link.explain(problem)
    if (explained !== undefined && !isOfTheWay(explained)) return explained
    const why = problem === undefined ? '' : `: ${describeThrown(problem)}`
    return away(name, `it has not answered for ${formatDuration(PATIENCE[patience])}${why}`, problem)
  }

  #rest(): void {
    this.#onDrained?.()
    this.#onDrained = undefined
  }
}

/** Outcomes first, for they free what the others take; of jobs that are added the order is that of their calls. */
function groupsOf(calls: readonly Call[]): readonly Group[] {
  const [settled, extended, added, others, takes]: Call[][] = [[], [], [], [], []] as never
  for (const call of calls) {
    const { o } = call.words
    const list =
      o === 'settle' ? settled : o === 'extend' ? extended : o === 'add' ? added : o === 'take' ? takes : others
    ;(list as Call[]).push(call)
  }
  return [
    ...together(settled as Call[], 's', { o: 'do' }),
    ...together(extended as Call[], 'e', { o: 'extend' }),
    ...(others as Call[]).map(alone),
    ...runsOf(added as Call[]).flatMap(([isPlainRun, run]) => together(run, 'j', { o: 'do', isPlain: isPlainRun })),
    ...(takes as Call[]).map(alone),
  ]
}

/** Long lists go beside: what is looked at for each row is to be short. */
function withoutLists(words: Words, lists: string[]): Words {
  const short: Record<string, unknown> = { ...words }
  for (const key of LISTS) if (key in short) short[key] = lists.push(JSON.stringify(short[key]))
  return short as Words
}

const alone = (call: Call): Group => ({ words: call.words, calls: [call], counts: undefined })

function together(calls: readonly Call[], key: 's' | 'e' | 'j', words: Words): readonly Group[] {
  if (calls.length === 0) return []
  const lists = calls.map((call) => call.words[key] as readonly unknown[])
  return [{ words: { ...words, [key]: lists.flat() }, calls, counts: lists.map((list) => list.length) }]
}

/** Calls in a row whose jobs may be written at once, and those whose may not. */
function runsOf(calls: readonly Call[]): readonly (readonly [boolean, readonly Call[]])[] {
  const runs: [boolean, Call[]][] = []
  for (const call of calls) {
    const isPlainCall = (call.words['j'] as readonly JobWords[]).every(isPlain)
    const last = runs.at(-1)
    if (last?.[0] === isPlainCall) last[1].push(call)
    else runs.push([isPlainCall, [call]])
  }
  return runs
}

function answerTo({ calls, counts }: Group, answer: unknown): void {
  if (counts === undefined) return calls[0]?.resolve(answer)
  const answers = answer as readonly unknown[]
  let start = 0
  for (const [index, call] of calls.entries()) {
    const count = counts[index] as number
    call.resolve(answers.slice(start, start + count))
    start += count
  }
}
