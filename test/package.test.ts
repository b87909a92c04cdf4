import { existsSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import manifest from '../package.json' with { type: 'json' }
import { root, run, runNode } from './support/child.ts'

describe('the tarball', () => {
  let packed: string[] = []
  let size = 0

  beforeAll(async () => {
    const { stdout } = await run('npm', ['pack', '--dry-run', '--json'])
    const [tarball] = JSON.parse(stdout) as { size: number; files: { path: string }[] }[]
    size = tarball?.size ?? Infinity
    packed = tarball?.files.map(({ path }) => path) ?? []
  })

  test('has only what is built, the sources, the charts and the pages every package has', () => {
    const kinds = [
      /^(?:package\.json|README\.md|LICENSE|CHANGELOG\.md)$/,
      /^dist\/(?:src|machines)\/.+\.(?:js|js\.map|d\.ts|d\.ts\.map)$/,
      /^src\/(?!inspect\/page\/).+\.ts$/,
      /^src\/inspect\/page\/[\w/-]+\.(?:js|css|html|svg)$/,
      /^machines\/[\w-]+\.(?:ts|svg|md)$/,
    ]
    expect(packed.filter((path) => !kinds.some((kind) => kind.test(path)))).toEqual([])
    for (const kind of kinds)
      expect(
        packed.some((path) => kind.test(path)),
        String(kind),
      ).toBe(true)
  })

  test('stays small', () => {
    expect(size).toBeLessThan(1_350_000)
  })

  test('has every file that exports, bin and sideEffects name', () => {
    const entries = Object.values(manifest.exports).flatMap((entry) =>
      typeof entry === 'string' ? [entry] : Object.values(entry),
    )
    const named = [...entries, ...Object.values(manifest.bin), ...manifest.sideEffects].map((path) =>
      path.replace('./', ''),
    )
    expect(named.filter((path) => !packed.includes(path))).toEqual([])
  })

  test('has no built file whose source is gone; remove dist and build again if it has', () => {
    const built = packed.filter((path) => path.startsWith('dist/') && /\.(?:d\.ts|js\.map)$/.test(path))
    expect(built.length).toBeGreaterThan(100)
    expect(built.flatMap(sourcesOf).filter((path) => !packed.includes(path))).toEqual([])
  })
})

/** What a built file was made of. */
function sourcesOf(path: string): string[] {
  if (path.endsWith('.d.ts')) return [path.replace('dist/', '').replace(/\.d\.ts$/, '.ts')]
  const { sources } = JSON.parse(readFileSync(join(root, path), 'utf8')) as { readonly sources: readonly string[] }
  return sources.map((source) => posix.join(posix.dirname(path), source))
}

type LockedPackage = {
  readonly hasInstallScript?: boolean
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
}

type Lock = { readonly packages: Readonly<Record<string, LockedPackage>> }

describe('installing the package', () => {
  const lock: Lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  const { packages } = lock

  test('runs no install script, of a dependency at any depth', () => {
    const reached = reachedFrom('')
    expect(reached).toContain('node_modules/eventemitter3')
    expect(reached).toContain('node_modules/xstate')
    expect(reached.filter(hasInstallScript)).toEqual([])
  })

  function reachedFrom(path: string, reached = new Set<string>()): string[] {
    const { dependencies, optionalDependencies, peerDependencies } = packages[path] ?? {}
    const optional = packages[path]?.peerDependenciesMeta ?? {}
    const needed = Object.keys(peerDependencies ?? {}).filter((name) => optional[name]?.optional !== true)
    for (const name of [...Object.keys({ ...dependencies, ...optionalDependencies }), ...needed]) {
      const found = locate(name, path)
      if (found === undefined || reached.has(found)) continue
      reached.add(found)
      reachedFrom(found, reached)
    }
    return [...reached]
  }

  /** Where Node finds `name` from inside `path`: the nearest node_modules upwards. */
  function locate(name: string, path: string): string | undefined {
    const here = path === '' ? `node_modules/${name}` : `${path}/node_modules/${name}`
    if (here in packages) return here
    return path === '' ? undefined : locate(name, path.slice(0, Math.max(0, path.lastIndexOf('/node_modules/'))))
  }

  /** The lock file says so, or the package itself; npm makes a script of a binding.gyp by itself. */
  function hasInstallScript(path: string): boolean {
    const own = join(root, path, 'package.json')
    const scripts: object = existsSync(own) ? (JSON.parse(readFileSync(own, 'utf8')).scripts ?? {}) : {}
    const runs = ['preinstall', 'install', 'postinstall'].some((name) => name in scripts)
    return runs || packages[path]?.hasInstallScript === true || existsSync(join(root, path, 'binding.gyp'))
  }
})

describe('importing', () => {
  test.each([
    { entry: 'rootcatch', packages: ['eventemitter3', 'xstate'] },
    { entry: 'rootcatch/machines', packages: ['xstate'] },
    { entry: 'rootcatch/plugins', packages: [] },
    { entry: 'rootcatch/testing', packages: [] },
    { entry: 'rootcatch/sqlite', packages: [] },
    { entry: 'rootcatch/bullmq', packages: [] },
    { entry: 'rootcatch/postgres', packages: [] },
    { entry: 'rootcatch/inspect', packages: [] },
  ])('$entry loads no other packages than $packages', async ({ entry, packages }) => {
    const loaded = await modulesLoadedBy(entry)
    expect(loaded.length).toBeGreaterThan(0)
    expect(packagesOf(loaded).filter((name) => !packages.includes(name))).toEqual([])
  })

  test.each([
    { entry: 'rootcatch/bot', without: ['cheerio', 'bullmq', 'ioredis', 'ws', 'commander'] },
    { entry: 'rootcatch/crawl', without: ['cheerio', 'grammy', 'bullmq', 'ioredis', 'ws', 'commander'] },
  ])('$entry loads none of $without', async ({ entry, without }) => {
    const names = packagesOf(await modulesLoadedBy(entry))
    expect(names).toContain('undici')
    expect(names.filter((name) => without.includes(name))).toEqual([])
  })

  test('rootcatch is read in five files', async () => {
    const loaded = await modulesLoadedBy('rootcatch')
    const own = loaded.filter((url) => !url.includes('/node_modules/'))
    expect(own.flatMap((url) => /\/dist\/(.+)/.exec(url)?.[1] ?? []).toSorted()).toEqual([
      'machines/charts.shared.js',
      'src/core.shared.js',
      'src/index.js',
      'src/leaves.shared.js',
      'src/node-version.js',
    ])
  })

  test.each([
    'rootcatch',
    'rootcatch/machines',
    'rootcatch/plugins',
    'rootcatch/testing',
    'rootcatch/sqlite',
    'rootcatch/postgres',
    'rootcatch/inspect',
  ])('%s makes Node load none of its own modules, but what follows a job through what it awaits', async (entry) => {
    const program = `
      const before = new Set(process.moduleLoadList)
      await import('${entry}')
      console.log(JSON.stringify(process.moduleLoadList.filter((name) => !before.has(name))))
    `
    const { stdout } = await runNode(['--input-type=module', '-e', program])
    const names = (JSON.parse(stdout) as string[]).map((name) => name.replace('NativeModule ', ''))
    const expected = /^(?:async_hooks$|internal\/(?:async_hooks|async_local_storage\/|modules\/))/
    expect(names.filter((name) => !expected.test(name))).toEqual([])
  })

  test('rootcatch/machines loads nothing of src', async () => {
    const sources = sourcesOfLoaded(await modulesLoadedBy('rootcatch/machines'))
    expect(sources).toContain('machines/job.ts')
    expect(sources.filter((path) => path.startsWith('src/'))).toEqual([])
  })

  test('a system that nobody inspects loads no module of the inspector, from its start to its end', async () => {
    const program = `
      const { start, supervisor, task } = await import('rootcatch')
      const job = task('job', () => 1)
      const system = await start(supervisor('app', [job]))
      await system.run(job)
      await system.stop()
    `
    const loaded = await modulesLoadedBy('rootcatch', program)
    const sources = sourcesOfLoaded(loaded)
    expect(sources).toContain('src/start.ts')
    expect(sources.filter((path) => path.startsWith('src/inspect/'))).toEqual([])
    expect(packagesOf(loaded)).not.toContain('ws')
  })

  function packagesOf(urls: readonly string[]): string[] {
    const names = urls.map((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1])
    return [...new Set(names.filter((name) => name !== undefined))]
  }

  /** What was bundled into the built files of those. */
  function sourcesOfLoaded(urls: readonly string[]): string[] {
    const own = urls.filter((url) => !url.includes('/node_modules/'))
    const maps = own.flatMap((url) => /\/(dist\/.+\.js)$/.exec(url)?.[1]?.concat('.map') ?? [])
    return maps.filter((path) => existsSync(join(root, path))).flatMap(sourcesOf) // none: it only hands on others
  }

  async function modulesLoadedBy(entry: string, program = ''): Promise<string[]> {
    const listing = `
      import { registerHooks } from 'node:module'
      const loaded = []
      registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) })
      await import('${entry}')
      ${program}
      console.log(JSON.stringify(loaded))
    `
    const { stdout, stderr, code } = await runNode(['--input-type=module', '-e', listing])
    if (code !== 0) throw new Error(`import '${entry}' ended with ${code}: ${stderr}`)
    return JSON.parse(stdout)
  }
})
