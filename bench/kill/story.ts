import { spawn } from 'node:child_process'
import { closeSync, copyFileSync, existsSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'

/** What became of jobs whose process was killed again and again. */
export interface KillReport {
  readonly seed: number
  /** The store as each kill left it. */
  readonly kills: readonly StoreLook[]
  /** The store when all was done. */
  readonly end: StoreLook
  readonly confirmed: number
  /** Confirmed jobs that are not done, by id. */
  readonly lost: readonly string[]
  /** Bodies that ran more than once for one attempt of one job. */
  readonly twice: number
  /** Those of them that were not held at the kill before. */
  readonly unexplained: readonly string[]
  readonly seconds: number
}

export interface StoreLook {
  readonly integrity: string
  /** Ids of jobs that somebody holds. */
  readonly held: ReadonlySet<string>
  readonly done: ReadonlySet<string>
}

/** In ms. One that hangs is found out by it. */
const LONGEST_LIFE = 60_000

/** How `State` numbers them in the file. */
const [LEASED, DONE] = [3, 4]

/** Lets a process add and work so many jobs, and kills it at random points of its progress. */
export async function workThroughKills(options: {
  readonly jobs: number
  readonly kills: number
  readonly seed: number
}): Promise<KillReport> {
  const { jobs, kills, seed } = options
  const folder = mkdtempSync(join(tmpdir(), 'rootcatch-kill-'))
  const [file, log] = [join(folder, 'jobs.db'), join(folder, 'log')]
  const startedAt = performance.now()
  try {
    const looks: StoreLook[] = []
    for (const point of randomPoints(seed, kills, jobs)) {
      await killAt(point, [file, log, String(jobs), String(looks.length + 1)])
      looks.push(look(file, join(folder, 'copy.db')))
    }
    await workToTheEnd([file, log, String(jobs), String(kills + 1)])
    const end = look(file, join(folder, 'copy.db'))
    const confirmed = linesOf(`${log}.added`)
    return {
      seed,
      kills: looks,
      end,
      confirmed: confirmed.length,
      lost: confirmed.filter((id) => !end.done.has(id)),
      ...judge(linesOf(`${log}.ran`), looks),
      seconds: (performance.now() - startedAt) / 1_000,
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** A worker of a file, in a process of its own. */
export function spawnWorker(args: readonly string[]): {
  readonly child: ReturnType<typeof spawn>
  readonly ended: Promise<number | null>
} {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'worker.ts'), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: LONGEST_LIFE,
    killSignal: 'SIGKILL',
  })
  const ended = new Promise<number | null>((resolve, reject) => child.once('close', resolve).once('error', reject))
  return { child, ended }
}

/** Numbers of bodies that ran, in all lives together, at which a kill is due. */
function randomPoints(seed: number, kills: number, jobs: number): readonly number[] {
  const random = mulberry32(seed)
  return Array.from({ length: kills }, () => Math.floor(random() * jobs * 0.95)).toSorted((a, b) => a - b)
}

async function killAt(point: number, args: readonly string[]): Promise<void> {
  const count = lineCounter(`${args[1]}.ran`)
  const before = count()
  const { child, ended } = spawnWorker(args)
  let code: number | null | undefined
  void ended.then((value) => (code = value))
  for (let lines = before; lines <= Math.max(point, before); lines = count()) {
    // each life does something
    await sleep(1)
    if (code !== undefined) throw new Error(`the worker ended by itself, with ${code}`)
  }
  child.kill('SIGKILL')
  await ended
}

async function workToTheEnd(args: readonly string[]): Promise<void> {
  const code = await spawnWorker(args).ended
  if (code !== 0) throw new Error(`the last worker ended with ${code}`)
}

/** Looks at a copy: whoever closes the file itself would tidy up what the next process has to recover. */
function look(file: string, copy: string): StoreLook {
  for (const suffix of ['', '-wal', '-shm']) rmSync(copy + suffix, { force: true })
  for (const suffix of ['', '-wal']) if (existsSync(file + suffix)) copyFileSync(file + suffix, copy + suffix)
  const db = new DatabaseSync(copy)
  const idsOf = (state: number): ReadonlySet<string> => {
    const rows = db.prepare('SELECT id FROM jobs WHERE state = ?').all(state) as unknown as readonly { id: string }[]
    return new Set(rows.map(({ id }) => id))
  }
  const { integrity_check: integrity } = db.prepare('PRAGMA integrity_check').get() as Record<string, string>
  const seen = { integrity: String(integrity), held: idsOf(LEASED), done: idsOf(DONE) }
  db.close()
  return seen
}

/** A body may run again only if the life it ran in was killed while it held the job. */
function judge(ran: readonly string[], looks: readonly StoreLook[]): Pick<KillReport, 'twice' | 'unexplained'> {
  const lifeOf = new Map<string, number>()
  const unexplained: string[] = []
  let twice = 0
  for (const line of ran) {
    const [life = '', id = '', attempt] = line.split(' ')
    const earlier = lifeOf.get(`${id} ${attempt}`)
    lifeOf.set(`${id} ${attempt}`, Number(life))
    if (earlier === undefined) continue
    twice += 1
    if (earlier === Number(life) || looks[earlier - 1]?.held.has(id) !== true)
      unexplained.push(`${earlier}, then ${line}`)
  }
  return { twice, unexplained }
}

/** Counts the lines of a file that grows, and reads no part of it twice. */
function lineCounter(path: string): () => number {
  const part = Buffer.alloc(64 * 1024)
  let [read, lines] = [0, 0]
  return () => {
    if (!existsSync(path)) return 0
    const file = openSync(path, 'r')
    for (;;) {
      const size = readSync(file, part, 0, part.length, read)
      if (size === 0) break
      read += size
      for (const byte of part.subarray(0, size)) if (byte === 10) lines += 1
    }
    closeSync(file)
    return lines
  }
}

/** Those that are whole: a kill may come in the middle of a line. */
export const linesOf = (path: string): readonly string[] =>
  existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []

/** Small numbers from a seed: who reads a seed in a failure gets the same points again. */
function mulberry32(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
