import { start, supervisor, task } from 'rootcatch'
import { sqlite } from 'rootcatch/sqlite'
import { describe, expect, test } from 'vitest'
import manifest from '../../package.json' with { type: 'json' }
import { hasTerminal, inTerminal, rootcatch, startCommand, userFile } from '../support/command.ts'
import { newFiles, readRow } from '../support/sqlite-store.ts'

const newFile = newFiles()

const shop = userFile(
  'shop.ts',
  `import { supervisor, task } from 'rootcatch'

export const pay = task('pay', { shutdown: '1h' }, async (what: string, ctx): Promise<string> => {
  ctx.log.info('pays for ' + what, { card: { token: 'hunter2' } })
  if (what === 'nothing') throw new Error('there is\\nnothing to pay')
  if (what === 'a house') await ctx.sleep('1h')
  return what
})
export const shop = supervisor('shop', [pay])
`,
)

/** Puts jobs into the store of the shop, in this process. */
async function order(file: string, ...what: string[]): Promise<void> {
  const pay = task('pay', (_: string) => {})
  const system = await start(supervisor('shop', [pay]), { broker: sqlite(file) })
  system.pause(pay)
  for (const one of what) await system.run(pay, one).queued()
  await system.stop()
}

const statesIn = (file: string): unknown => readRow(file, 'SELECT waiting, delayed, leased, dead FROM queues')

describe.concurrent('rootcatch run', () => {
  test('starts what a TypeScript file exports, and drains at the first signal', async () => {
    const file = newFile()
    await order(file, 'a book', 'nothing', 'a pen')
    const run = startCommand(['run', shop, '--broker', file])
    await run.until('pays for a pen')
    await run.until('failed after 1 attempt')
    run.child.kill('SIGTERM')
    expect(await run.ended).toBe(0)
    const lines = run.said().trimEnd().split('\n')
    expect(lines[0]).toContain('shop is up, from .cache/cli/shop.ts; jobs are kept in')
    expect(lines.filter((line) => line.includes('nothing to pay'))).toEqual([
      expect.stringMatching(/^\d{4}-\S+Z shop\/pay\/job:\d+ failed after 1 attempt in \S+: there is\\nnothing to pay$/),
    ])
    expect(lines.at(-2)).toContain('SIGTERM: no more jobs are taken; what runs has 30s')
    expect(lines.at(-1)).toMatch(/shop stopped after .+: done 2, failed 1$/)
    expect(run.said()).not.toMatch(/hunter2|\n +at /)
  })

  test('with --inspect serves the inspector, and prints a link that lets in once', async () => {
    const run = startCommand(['run', shop, '--inspect'])
    await run.until('shop is up')
    await run.until('/?token=') // said on stderr, which may be read later
    const [link = ''] = /http:\/\/127\.0\.0\.1:\d+\/\?token=\S+/.exec(run.said()) ?? []
    expect((await fetch(link, { redirect: 'manual' })).status).toBe(303)
    expect((await fetch(link, { redirect: 'manual' })).status).toBe(401)
    run.child.kill('SIGTERM')
    expect(await run.ended).toBe(0)
  })

  test('cuts off at the second signal: 128 and the first, and the job is the store’s again', async () => {
    const file = newFile()
    await order(file, 'a house')
    const run = startCommand(['run', shop, '--broker', file])
    await run.until('pays for a house')
    run.child.kill('SIGTERM')
    await run.until('no more jobs are taken')
    run.child.kill('SIGINT')
    expect(await run.ended).toBe(143)
    expect(run.said()).toMatch(/shop was cut off after .+: done 0, failed 0\n$/)
    expect(statesIn(file)).toEqual({ waiting: 1, delayed: 0, leased: 0, dead: 0 })
  })

  test('cuts off when the deadline is over', async () => {
    const file = newFile()
    await order(file, 'a house')
    const run = startCommand(['run', shop, '--broker', file, '--deadline', '20ms'])
    await run.until('pays for a house')
    run.child.kill('SIGINT')
    expect(await run.ended).toBe(130)
    expect(statesIn(file)).toMatchObject({ waiting: 1, leased: 0 })
  })

  test('ends with 1 and one line when a failure stops the system', async () => {
    const file = userFile(
      'failing.ts',
      `import { actor } from 'rootcatch'
import { fromPromise } from 'xstate'
export const app = actor('app', fromPromise(async () => { throw new Error('from the start') }))
`,
    )
    const { code, stdout, stderr } = await rootcatch(['run', file])
    expect(code).toBe(1)
    expect(stdout + stderr).toContain('from the start')
    expect(stdout + stderr).not.toMatch(/\n +at /)
  })

  test('gives start() what the file exports as options; --broker goes before its broker', async () => {
    const file = userFile(
      'options.ts',
      `import { memory, task } from 'rootcatch'
export const first = task('first', () => {})
export default task('second', () => {})
export const options = { broker: { ...memory(), name: 'x', open() { throw new Error('this broker was opened') } } }
`,
    )
    expect(await rootcatch(['run', file])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('this broker was opened'),
    })
    const run = startCommand(['run', file, '--broker', newFile()])
    await run.until('second is up')
    run.child.kill('SIGTERM')
    expect(await run.ended).toBe(0)
  })

  test('ends although the file keeps something open', async () => {
    const file = userFile(
      'open.ts',
      `import { task } from 'rootcatch'
setInterval(() => {}, 1_000)
export const first = task('first', () => {})
`,
    )
    const run = startCommand(['run', file])
    await run.until('first is up')
    run.child.kill('SIGTERM')
    expect(await run.ended).toBe(0)
  })

  test('works on when nobody reads its lines any more', async () => {
    const file = newFile()
    await order(file, 'a book', 'a house')
    const run = startCommand(['run', shop, '--broker', file, '--deadline', '0ms'])
    await run.until('pays for a house')
    run.child.stdout?.destroy()
    run.child.kill('SIGTERM')
    expect(await run.ended).toBe(143)
    expect(statesIn(file)).toMatchObject({ waiting: 1, leased: 0 })
  })

  test.each([
    ['a file that is not there', ['nowhere.ts'], /there is no file .*nowhere\.ts/, 2],
    ['a folder', ['src'], /is not a file/, 2],
    ['no definition', [userFile('none.ts', 'export const x = 1\n')], /exports no definition/, 2],
    ['an export that is not there', [shop, '--export', 'shp'], /exports no "shp". Did you mean "shop"\?/, 2],
    [
      'an export that is no definition',
      [userFile('one.ts', 'export const x = 1\n'), '--export', 'x'],
      /is no definition/,
      2,
    ],
    [
      'two definitions',
      [
        userFile(
          'two.ts',
          `import { task } from 'rootcatch'\nexport const a = task('a', () => {})\nexport const b = task('b', () => {})\n`,
        ),
      ],
      /exports 2 definitions: a, b. Choose one with --export/,
      2,
    ],
    [
      'options that are none',
      [
        userFile(
          'five.ts',
          `export { task as t } from 'rootcatch'\nimport { task } from 'rootcatch'\nexport const a = task('a', () => {})\nexport const options = 5\n`,
        ),
      ],
      /options of .* is no object/,
      2,
    ],
    ['a deadline that is none', [shop, '--deadline', 'soon'], /--deadline got "soon"/, 2],
    [
      'a file that throws',
      [userFile('throws.ts', `throw new Error('while it loads')\n`)],
      /could not be loaded: while it loads/,
      1,
    ],
    ['a file with a slip in it', [userFile('slip.ts', `export const = 1\n`)], /could not be loaded/, 1],
  ])('%s: a line and an exit code', async (_what, args, message, expected) => {
    const { code, stderr } = await rootcatch(['run', ...args])
    expect(stderr).toMatch(message)
    expect(stderr).not.toMatch(/\n +at /)
    expect(code).toBe(expected)
  })

  test('a stack is there for who asks for it', async () => {
    const file = userFile('thrower.ts', `throw new Error('while it loads')\n`)
    expect((await rootcatch(['run', file, '--verbose'])).stderr).toMatch(/\n +at .*thrower\.ts/)
    expect((await rootcatch(['run', file], { ROOTCATCH_DEBUG: '1' })).stderr).toMatch(/\n +at .*thrower\.ts/)
  })
})

describe.skipIf(!hasTerminal)('rootcatch run in a terminal', () => {
  test('has a live line below its other lines, and takes it away at the end', async () => {
    const file = newFile()
    await order(file, 'nothing', 'a house')
    const run = inTerminal(['run', shop, '--broker', file, '--deadline', '20ms'], { columns: 60 })
    await run.until(/● shop {2}running 1 {2}waiting 0 {2}done 0 {2}failed 1/)
    run.child.stdin?.write('\u0003')
    expect(await run.ended).toBe(130)
    expect(run.said().split('\r\u001b[K').at(-1)).toMatch(
      /^\d\d:\d\d:\d\d shop was cut off after .+: done 0, failed 1\r\n$/,
    )
    const drawn = run
      .said()
      .split(/[\r\n]+/)
      .filter((line) => line.includes('●'))
    expect(drawn.filter((line) => line.replace('\u001b[K', '').length >= 60)).toEqual([])
  })
})

describe.concurrent('rootcatch', () => {
  test('says its version', async () => {
    expect(await rootcatch(['--version'])).toEqual({ code: 0, stdout: `${manifest.version}\n`, stderr: '' })
  })

  test.each([
    ['--help'],
    ['run', '--help'],
    ['dead', '--help'],
    ['dead', 'list', '--help'],
    ['dead', 'replay', '--help'],
    ['stats', '--help'],
  ])('%s %s is help with exit codes, in 80 columns', async (...args) => {
    const { code, stdout } = await rootcatch(args)
    expect(stdout).toContain('Usage: rootcatch')
    expect(stdout).toContain('Exit codes')
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([])
    expect(code).toBe(0)
  })

  test.each([
    [[], /Usage: rootcatch/],
    [['dead'], /Usage: rootcatch dead/],
    [['stat'], /has no command "stat". Did you mean "stats"\?/],
    [['app.ts'], /Did you mean: rootcatch run app\.ts/],
    [['xyzzy'], /It has: run, dead, stats, tour\./],
    [['stats', 'x'], /too many arguments/],
  ])('%j is used wrongly: exit 2', async (args, message) => {
    const { code, stdout, stderr } = await rootcatch(args)
    expect(stderr).toMatch(message)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  })
})
