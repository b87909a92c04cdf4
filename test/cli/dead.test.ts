import { existsSync, writeFileSync } from 'node:fs'
import { PermanentError, resume, start, task } from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'
import { beforeAll, describe, expect, test } from 'vitest'
import { hasTerminal, inTerminal, rootcatch, startCommand } from '../support/command.ts'
import { fillStore } from '../support/dead-store.ts'
import { newFiles, readRow } from '../support/sqlite-store.ts'

const newFile = newFiles()

const deadIn = (file: string): unknown => readRow(file, 'SELECT sum(dead) AS dead FROM queues')['dead']

describe.concurrent('rootcatch dead', () => {
  const file = newFile()
  let ids: Awaited<ReturnType<typeof fillStore>>

  beforeAll(async () => {
    ids = await fillStore(file)
  })

  const list = async (
    ...args: string[]
  ): Promise<{ readonly ids: string[]; readonly code: number; readonly stderr: string }> => {
    const { stdout, code, stderr } = await rootcatch(['dead', 'list', '--broker', file, '--json', ...args])
    return { ids: (JSON.parse(stdout) as { id: string }[]).map(({ id }) => id), code, stderr }
  }

  test('list has a line for each, newest first, with nothing in it that breaks or tells a secret', async () => {
    const { code, stdout, stderr } = await rootcatch(['dead', 'list', '--broker', file])
    const [head, ...rows] = stdout.trimEnd().split('\n')
    expect(head).toMatch(/^ID +AGE +ATTEMPTS +TASK +MESSAGE$/)
    expect(rows.map((row) => row.split(/ +/)[0])).toEqual([ids.timedOut, ids.thrown[1], ids.thrown[0]])
    expect(rows[1]).toMatch(
      / 1 {2}app\/media\/upload {2}PermanentError: 403 for https:\/\/bob:\[redacted\]@files\.example\\n\\u001b/,
    )
    expect(stdout).not.toMatch(/hunter2|abcdef123456/)
    expect(stdout).not.toContain('\u001b')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  test('list takes filters: by task, its last part too, by kind, by time', async () => {
    expect(await list('--task', 'app/media/upload')).toMatchObject({ ids: [ids.thrown[1], ids.thrown[0]], code: 0 })
    expect((await list('--task', 'resize')).ids).toEqual([ids.timedOut])
    expect((await list('--kind', 'timeout')).ids).toEqual([ids.timedOut])
    expect((await list('--since', '1h')).ids).toHaveLength(3)
    expect((await list('--since', '2020-01-31')).ids).toHaveLength(3)
    expect(await list('--since', '2190-01-31')).toMatchObject({ ids: [], code: 1 })
    expect(await list('--task', 'uplod')).toMatchObject({
      ids: [],
      code: 1,
      stderr: expect.stringContaining('No dead letter'),
    })
  })

  test('list says when there are more', async () => {
    const some = await list('--limit', '2')
    expect(some.ids).toHaveLength(2)
    expect(some.stderr).toContain('There are more than these 2')
    expect((await list('--limit', '3')).stderr).toBe('')
  })

  test('show tells all that is kept, input too, and no secrets', async () => {
    const { code, stdout } = await rootcatch(['dead', 'show', ids.thrown[0] as string, '--broker', file])
    expect(stdout).toContain(`app/media/upload/job:${ids.thrown[0]}`)
    expect(stdout).toContain('error     PermanentError: 403')
    expect(stdout).toContain('app/media: escalate')
    expect(stdout).toContain('"user": "me"')
    expect(stdout).toContain('"password": "[redacted]"')
    expect(stdout).not.toMatch(/hunter2|\n +at /)
    expect(stdout).not.toContain('\u001b')
    expect(code).toBe(0)
    const verbose = await rootcatch(['dead', 'show', ids.thrown[0] as string, '--broker', file, '--verbose'])
    expect(verbose.stdout).toMatch(/\n +at .*dead-store/)
  })

  test('show of an id that is not there ends with 1', async () => {
    const { code, stdout, stderr } = await rootcatch(['dead', 'show', 'nobody', '--broker', file, '--json'])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '[]\n' })
    expect(stderr).toContain('no dead letter nobody')
  })

  test('replay queues jobs again, and the environment names the store', async () => {
    const own = newFile()
    const { thrown } = await fillStore(own)
    const env = { ROOTCATCH_BROKER: own }
    expect(await rootcatch(['dead', 'replay', thrown[0] as string], env)).toMatchObject({
      code: 0,
      stdout: 'replayed 1 dead letter\n',
    })
    expect(deadIn(own)).toBe(2)
    const again = await rootcatch(['dead', 'replay', thrown[0] as string, '--json'], env)
    expect(again).toMatchObject({ code: 1, stdout: '{"replayed":[]}\n' })
    expect(await rootcatch(['dead', 'replay', '--all', '--kind', 'timeout', '--yes'], env)).toMatchObject({ code: 0 })
    expect(deadIn(own)).toBe(1)
    expect(await rootcatch(['dead', 'replay', '--all', '--kind', 'timeout', '--yes'], env)).toMatchObject({ code: 1 })
  })

  test('discard forgets, and all of them where that is said', async () => {
    const own = newFile()
    const { thrown } = await fillStore(own)
    const discard = (...args: string[]): ReturnType<typeof rootcatch> =>
      rootcatch(['dead', 'discard', ...args, '--broker', own])
    expect(await discard(thrown[0] as string)).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') })
    expect(deadIn(own)).toBe(3)
    expect(await discard(thrown[0] as string, 'nobody', '--yes')).toMatchObject({ code: 1 })
    expect(deadIn(own)).toBe(2)
    expect(await discard('--all', '--yes')).toMatchObject({ code: 0, stdout: 'discarded 2 dead letters\n' })
    expect(deadIn(own)).toBe(0)
  })

  test('reaches all of them, however many pages they fill', async () => {
    const own = newFile()
    const work = task('work', { concurrency: 100 }, () => {
      throw new PermanentError('none')
    })
    const system = await start(work, { broker: sqlite(own), catch: () => resume })
    await Promise.all(Array.from({ length: 450 }, () => system.run(work).settled()))
    await system.stop()
    const env = { ROOTCATCH_BROKER: own }
    const some = await rootcatch(['dead', 'discard', '--all', '--yes', '--limit', '210'], env)
    expect(some.stdout).toBe('discarded 210 dead letters\n')
    const rest = await rootcatch(['dead', 'replay', '--all', '--yes'], env)
    expect(rest.stdout).toBe('replayed 240 dead letters\n')
    expect(deadIn(own)).toBe(0)
  })

  test('works while another process works the same file', async () => {
    const own = newFile()
    const { thrown } = await fillStore(own)
    const other = startCommand(['stats', '--watch', '--broker', own])
    await other.until('app/media/upload')
    expect(await rootcatch(['dead', 'replay', ...thrown, '--broker', own])).toMatchObject({ code: 0 })
    await other.until(/upload +3/)
    other.child.kill('SIGINT')
    expect(await other.ended).toBe(0)
  })

  test.each([
    ['no store', [], /no store was given. Add --broker/],
    ['a file that is not there', ['--broker', '/nowhere/app.db'], /there is no file \/nowhere\/app\.db/],
    ['Redis', ['--broker', 'redis://:hunter2@127.0.0.1:1'], /Redis at 127\.0\.0\.1:1 is away: connect ECONNREFUSED/],
    [
      'Postgres',
      ['--broker', 'postgres://app:hunter2@127.0.0.1:1/app?schema=shop'],
      /Postgres at 127\.0\.0\.1:1\/app is away/,
    ],
    ['another URL', ['--broker', 'https://a.example/x'], /is not a store of rootcatch/],
    ['a kind nobody knows', ['--broker', 'x', '--kind', 'timout'], /Did you mean "timeout"/],
    ['a time that is none', ['--broker', 'x', '--since', 'yesterday'], /--since got "yesterday"/],
    ['a limit that is none', ['--broker', 'x', '--limit', '0'], /--limit got "0"/],
    ['an unknown option', ['--brokr', 'x'], /unknown option '--brokr'.*--broker/],
  ])('%s is used wrongly: exit 2, one line, no stack', async (_what, args, message) => {
    const { code, stdout, stderr } = await rootcatch(['dead', 'list', ...args])
    expect(stderr).toMatch(message)
    expect(stderr).not.toMatch(/hunter2|\n +at /)
    expect({ code, stdout, lines: stderr.trimEnd().split('\n').length }).toEqual({ code: 2, stdout: '', lines: 1 })
  })

  test.each([
    ['neither ids nor --all', ['replay'], /Name ids, or add --all/],
    ['both', ['replay', '7', '--all'], /Name ids, or use --all/],
    ['an unknown command', ['lst'], /rootcatch dead has no command "lst". Did you mean "list"\?/],
    ['no id to show', ['show'], /missing required argument 'id'/],
  ])('%s is used wrongly: exit 2', async (_what, args, message) => {
    const { code, stderr } = await rootcatch(['dead', ...args, ...(args[0] === 'lst' ? [] : ['--broker', file])])
    expect(stderr).toMatch(message)
    expect(code).toBe(2)
  })

  test('makes no file, and changes none that is not ours', async () => {
    const none = newFile()
    await rootcatch(['dead', 'list', '--broker', none])
    await rootcatch(['stats', '--broker', none])
    expect(existsSync(none)).toBe(false)
    const foreign = newFile()
    writeFileSync(foreign, 'something else')
    const { code, stderr } = await rootcatch(['dead', 'list', '--broker', foreign])
    expect(code).toBe(2)
    expect(stderr).toContain('is a database of something else')
  })

  test('a pipe that closes early is no crash', async () => {
    const child = startCommand(['dead', 'list', '--json', '--broker', file])
    child.child.stdout?.destroy()
    expect(await child.ended).toBe(0)
    expect(child.said()).toBe('')
  })
})

describe.skipIf(!hasTerminal)('rootcatch dead in a terminal', () => {
  test('asks before it discards, and takes anything but yes for no', async () => {
    const file = newFile()
    await fillStore(file)
    const no = inTerminal(['dead', 'discard', '--all', '--broker', file], { input: 'n\n' })
    expect(await no.ended).toBe(1)
    expect(no.said()).toContain('Discard 3 dead letters of')
    expect(deadIn(file)).toBe(3)
    const yes = inTerminal(['dead', 'replay', '--all', '--broker', file], { input: 'y\n' })
    expect(await yes.ended).toBe(0)
    expect(yes.said()).toContain('replayed 3 dead letters')
  })

  test('list breaks no line', async () => {
    const file = newFile()
    await fillStore(file)
    const listed = inTerminal(['dead', 'list', '--broker', file], { columns: 60 })
    expect(await listed.ended).toBe(0)
    const lines = listed.said().trimEnd().split('\r\n')
    expect(lines).toHaveLength(4)
    expect(lines.filter((line) => line.length > 60)).toEqual([])
  })
})
