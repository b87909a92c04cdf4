import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import manifest from '../package.json' with { type: 'json' }
import { root, run, tsc, type Ended } from './support/child.ts'
import { codeBlocksOf } from './support/code-blocks.ts'

/** A project outside of this repository that has installed the tarball, and of the optional peers those it asks for. */
class Consumer {
  readonly folder = mkdtempSync(join(tmpdir(), 'rootcatch-consumer-'))

  async install(tarball: string, peers: readonly string[]): Promise<void> {
    const home = join(this.folder, 'node_modules/rootcatch')
    mkdirSync(home, { recursive: true })
    await run('tar', ['-xzf', tarball, '-C', home, '--strip-components=1'])
    for (const name of [...Object.keys(manifest.dependencies), 'xstate', '@types/node', ...peers]) this.#link(name)
    writeFileSync(join(this.folder, 'package.json'), '{ "type": "module", "private": true }')
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text)
  }

  node(...args: readonly string[]): Promise<Ended> {
    return new Promise((resolve) => {
      execFile(process.execPath, args, { cwd: this.folder, timeout: 60_000 }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, stdout, stderr })
      })
    })
  }

  /** What the compiler says of this project and of rootcatch's declarations; XState's and grammY's are their own. */
  async typeErrors(): Promise<readonly string[]> {
    this.write('tsconfig.json', strict)
    const { stdout } = await this.node(tsc, '-p', 'tsconfig.json', '--pretty', 'false')
    return stdout.split('\n').filter((line) => /error TS/.test(line) && !/node_modules\/(?:xstate|grammy)\//.test(line))
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** As npm lays it out: what the package needs stands beside it. */
  #link(name: string): void {
    const place = join(this.folder, 'node_modules', name)
    mkdirSync(dirname(place), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), place, 'junction')
  }
}

const strict = JSON.stringify({
  compilerOptions: {
    target: 'es2023',
    lib: ['es2023', 'esnext.disposable'],
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    types: ['node'],
    noEmit: true,
  },
  include: ['*.ts'],
})

/** Attempts spent so far, of each job in a file that somebody else may have open. */
function attemptsIn(file: string): readonly number[] {
  if (!existsSync(file)) return []
  const db = new DatabaseSync(file, { readOnly: true })
  try {
    return db
      .prepare('SELECT attempts FROM jobs ORDER BY rowid')
      .all()
      .map(({ attempts }) => Number(attempts))
  } catch {
    return [] // its tables are being made
  } finally {
    db.close()
  }
}

describe.concurrent('a project that has installed the tarball', { timeout: 120_000 }, () => {
  const bare = new Consumer()
  const peered = new Consumer()

  beforeAll(async () => {
    await run('npm', ['pack', '--pack-destination', bare.folder])
    const tarball = join(bare.folder, `${manifest.name}-${manifest.version}.tgz`)
    await bare.install(tarball, [])
    await peered.install(tarball, ['grammy', 'piscina', '@opentelemetry/api'])
  }, 120_000)

  afterAll(() => {
    bare.remove()
    peered.remove()
  })

  test('type-checks and runs the quickstart of the README', async () => {
    const [quickstart] = codeBlocksOf('README.md', readFileSync(join(root, 'README.md'), 'utf8'))
    bare.write('quickstart.ts', quickstart?.text ?? '')
    expect(await bare.typeErrors()).toEqual([])
    expect(await bare.node('quickstart.ts')).toEqual({ code: 0, stdout: quickstart?.output, stderr: '' })
  })

  test('goes on after kill -9 in the quickstart, with the job that waited for its next attempt', async () => {
    const [quickstart] = codeBlocksOf('README.md', readFileSync(join(root, 'README.md'), 'utf8'))
    const file = join(peered.folder, 'greetings.db')
    peered.write('killed.ts', quickstart?.text ?? '')
    const killed = spawn(process.execPath, ['killed.ts'], { cwd: peered.folder, stdio: 'ignore' })
    await vi.waitUntil(() => attemptsIn(file).includes(1), { timeout: 20_000, interval: 5 })
    killed.kill('SIGKILL')
    await once(killed, 'exit')
    expect(await peered.node('killed.ts')).toMatchObject({ code: 0, stdout: quickstart?.output })
    expect(attemptsIn(file)).toEqual([3, 3]) // the one of before did not begin anew
    const { stdout } = await peered.node(
      'node_modules/rootcatch/dist/src/cli/rootcatch.js',
      'stats',
      '--broker',
      file,
      '--json',
    )
    expect(JSON.parse(stdout)).toMatchObject([{ waiting: 0, delayed: 0, leased: 0, dead: 0 }])
  })

  test('reads the types of every entry, with the optional peers', async () => {
    const entries = Object.keys(manifest.exports).filter((entry) => entry !== './package.json')
    const lines = entries.map((entry, at) => `export * as entry${at} from '${entry.replace('.', 'rootcatch')}'`)
    peered.write('entries.ts', lines.join('\n'))
    expect(await peered.typeErrors()).toEqual([])
  })

  test.for(Object.keys(manifest.exports).filter((entry) => entry !== './package.json'))(
    'imports %s with the optional peers',
    async (entry) => {
      const name = entry.replace('.', 'rootcatch')
      expect(await peered.node('-e', `import('${name}')`)).toEqual({ code: 0, stdout: '', stderr: '' })
    },
  )

  test.for([
    ['piscina', 'piscina', `start(task('sum', { isolate: { module: import.meta.url } }, () => 1))`],
    [
      'bullmq',
      'bullmq ioredis',
      `start(task('sum', () => 1), { broker: bullmq({ connection: 'redis://127.0.0.1' }) })`,
    ],
    ['pg', 'pg', `start(task('sum', () => 1), { broker: postgres({ connection: 'postgres://127.0.0.1' }) })`],
  ] as const)('is told to install %s where that is missing', async ([name, install, starting]) => {
    bare.write(
      `needs-${name}.mjs`,
      `import { start, task } from 'rootcatch'
       import { bullmq } from 'rootcatch/bullmq'
       import { postgres } from 'rootcatch/postgres'
       await ${starting}.catch((error) => console.log((error.error ?? error).name, error.message))`,
    )
    const { code, stdout } = await bare.node(`needs-${name}.mjs`)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^MissingPackageError /)
    expect(stdout).toContain(`which is not installed. Run: npm install ${install}`)
  })

  test('is told by Node that a bot needs grammY', async () => {
    const { code, stderr } = await bare.node('-e', `import('rootcatch/bot')`)
    expect(code).toBe(1)
    expect(stderr).toContain(`Cannot find package 'grammy'`)
  })

  test('takes the tour, which leaves the bot at home where there is no grammY', async () => {
    const binary = join(bare.folder, 'node_modules/rootcatch', manifest.bin.rootcatch)
    expect(existsSync(binary)).toBe(true)
    const { code, stdout, stderr } = await bare.node(binary, 'tour', '--seconds', '3')
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(stdout).toContain('npm install grammy')
    expect(stdout).toMatch(/jobs +\d+ accepted = /)
  })

  test('keeps the identity of classes over entries', async () => {
    bare.write(
      'identity.ts',
      `import { BrokerError, RootcatchError } from 'rootcatch'
       import { NetworkError } from 'rootcatch/crawl'
       import { sqlite } from 'rootcatch/sqlite'
       import { writeFileSync } from 'node:fs'
       writeFileSync('foreign.db', 'this is no database at all, but long enough to be read as one'.repeat(100))
       const thrown = await Promise.resolve(sqlite('./foreign.db').open()).catch((error: unknown) => error)
       console.log(thrown instanceof BrokerError, NetworkError.prototype instanceof RootcatchError)`,
    )
    expect(await bare.node('identity.ts')).toMatchObject({ code: 0, stdout: 'true true\n' })
  })
})
