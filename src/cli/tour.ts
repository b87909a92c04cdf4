import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { resume, start, supervisor, type System } from 'rootcatch'
import { inspector } from 'rootcatch/inspect'
import { sqlite } from 'rootcatch/sqlite'
import { print } from './output.ts'
import { archive } from './tour/archive.ts'
import { acts, type Act, type Stage } from './tour/script.ts'
import { lighthouse, post, shop } from './tour/shop.ts'
import { showInTerminal, showLines, type Show } from './tour/show.ts'
import { summaryOf } from './tour/summary.ts'
import { countDecisions } from './tour/tally.ts'
import { receiveVisitors } from './tour/visitors.ts'
import { UsageError } from './usage-error.ts'

export interface TourOptions {
  readonly seconds?: string
}

const PER_ACT = 1_400
const LAST_JOBS = 3_000

/** Plays a tree of tasks, actors, a bot and a spider that fail on purpose, until the time is over or Ctrl-C. */
export async function takeTour(options: TourOptions): Promise<number> {
  const seconds = readSeconds(options.seconds)
  const end = new AbortController()
  const interrupt = (): void => end.abort('Ctrl-C')
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupt)
  const timer = setTimeout(() => end.abort('the time is over'), seconds * 1_000)

  const folder = await mkdtemp(join(tmpdir(), 'rootcatch-tour-'))
  const visitors = await receiveVisitors()
  const { clerk, books, telegram, site } = visitors
  let link = ''
  const system = await start(
    supervisor('tour', [archive, post, shop, lighthouse, ...(clerk === undefined ? [] : [clerk]), books]),
    {
      broker: sqlite(join(folder, 'tour.db')),
      catch: () => resume,
      inspect: inspector({ control: true, announce: (given) => void (link = given) }),
    },
  )
  welcome(link, clerk !== undefined)
  const decided = countDecisions(system)
  const show = process.stdout.isTTY ? showInTerminal(system, seconds) : showLines(system)
  try {
    await play({ ...visitors, system, signal: end.signal }, show)
    await settleAll(system)
  } finally {
    clearTimeout(timer)
    show.end()
    await system.stop({ within: '2s' })
    await Promise.all([telegram.close(), site.close()])
    await rm(folder, { recursive: true, force: true })
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupt)
  }
  print(summaryOf(system, decided))
  return 0
}

function readSeconds(text: string | undefined): number {
  if (text === undefined) return process.stdout.isTTY ? 60 : 20
  const seconds = Number(text)
  if (seconds > 0 && seconds <= 86_400) return seconds
  throw new UsageError(`--seconds got "${text}". Write a number of seconds, up to 86400.`)
}

function welcome(link: string, hasBot: boolean): void {
  print('A tour of rootcatch: one tree, and what may happen in it. All of it fails on purpose.')
  print(`Look at it in a browser meanwhile: ${link}`)
  if (!hasBot) print('The bot stays at home: it needs grammY, npm install grammy.')
  if (process.stdout.isTTY) print('') // elsewhere each act begins with an empty line
}

/** One act after the other, again and again. Each has its time, whether it is over or not. */
async function play(stage: Stage, show: Show): Promise<void> {
  for (let turn = 0; !stage.signal.aborted; turn += 1) {
    const act = acts[turn % acts.length] as Act
    if (stage.clerk === undefined && act.title.startsWith('A bot')) continue
    show.begin(act)
    void Promise.resolve(act.play(stage)).catch(() => {}) // what fails is told by the tree
    await sleep(PER_ACT, undefined, { signal: stage.signal }).catch(() => {})
  }
}

/** The end has cancelled what was asked for; this waits until all of it is told. */
async function settleAll(system: System): Promise<void> {
  const until = performance.now() + LAST_JOBS
  while (performance.now() < until) {
    const { openRuns, attempts } = system.stats()
    if (openRuns === 0 && attempts === 0) return
    await sleep(20)
  }
}
