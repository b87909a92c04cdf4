// Builds what the package ships as JavaScript: one file per entry, and what entries share in a few more beside them. Read
// as a hundred files the core takes three times as long to import (decision 028). Types are tsc's.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import manifest from '../package.json' with { type: 'json' }

const root = fileURLToPath(new URL('../', import.meta.url))

/** Found by their own place in the folder, or loaded by it. */
const placed = ['src/node-version', 'src/isolate/thread', 'src/isolate/threads', 'src/inspect/page-files']

const entries = [
  ...Object.values(manifest.exports).flatMap((entry) => (typeof entry === 'string' ? [] : [entry.default])),
  ...Object.values(manifest.bin),
  ...placed,
].map((path) => path.replace(/^(?:\.\/)?dist\//, '').replace(/\.js$/, ''))

/** What each module imports at once, by its path from the root; packages by their name. */
const imports = new Map<string, readonly string[]>()

const bundle = await rolldown({
  cwd: root,
  input: Object.fromEntries(entries.map((path) => [path, `./${path}.ts`])),
  external: /^[^./]/,
  platform: 'node',
  tsconfig: false,
  treeshake: { moduleSideEffects: (id) => id.endsWith('node-version.ts') },
  plugins: [
    {
      name: 'imports',
      buildEnd() {
        for (const id of this.getModuleIds()) {
          imports.set(pathOf(id), this.getModuleInfo(id)?.importedIds.map(pathOf) ?? [])
        }
      },
    },
  ],
})
const { output } = await bundle.write({
  dir: `${root}dist`,
  format: 'esm',
  sourcemap: true,
  comments: false, // the sources are shipped beside it
  entryFileNames: '[name].js',
  chunkFileNames: ({ name, moduleIds }) => {
    const isChart = moduleIds.every((id) => pathOf(id).startsWith('machines/'))
    return `${isChart ? 'machines' : 'src'}/${name}.shared.js`
  },
  // Without these everything that the same entries need is a file: twenty for the core, each to be found, read and compiled.
  codeSplitting: {
    groups: [
      { name: 'charts', test: (id) => kindOf(pathOf(id)) === 'charts', priority: 3 },
      { name: 'leaves', test: (id) => kindOf(pathOf(id)) === 'leaves', priority: 2 },
      { name: 'core', test: (id) => kindOf(pathOf(id)) === 'core', priority: 1 },
    ],
  },
})
await bundle.close()

const written = new Set(output.map(({ fileName }) => fileName))
for (const path of written) {
  const text = readFileSync(`${root}dist/${path}`, 'utf8')
  writeFileSync(`${root}dist/${path}`, path.endsWith('.map') ? withoutSources(text) : inAscii(text))
}
for (const path of readdirSync(`${root}dist`, { recursive: true, encoding: 'utf8' })) {
  const isLeft = path.includes('.d.ts')
    ? !existsSync(root + path.replace(/\.d\.ts(?:\.map)?$/, '.ts'))
    : /\.js(?:\.map)?$/.test(path) && !written.has(path.replaceAll('\\', '/'))
  if (isLeft) rmSync(`${root}dist/${path}`) // of an earlier build, and it would be packed
}

/** In which file of the core a module goes: all that entries without XState need as well is apart from what they do not. */
function kindOf(path: string): 'charts' | 'leaves' | 'core' | undefined {
  if (entries.includes(path.replace(/\.ts$/, '')) || !neededBy('src/index').has(path)) return undefined
  if (path.startsWith('machines/')) return 'charts'
  const isLeaf = entries.map(neededBy).some((needed) => needed.has(path) && !needed.has('xstate'))
  return isLeaf ? 'leaves' : 'core'
}

/** All that importing an entry loads. */
function neededBy(entry: string): ReadonlySet<string> {
  const needed = new Set([`${entry}.ts`])
  for (const path of needed) for (const imported of imports.get(path) ?? []) needed.add(imported)
  return needed
}

/** The sources stand where a map points. */
function withoutSources(map: string): string {
  const parsed = JSON.parse(map) as { sourcesContent?: unknown }
  delete parsed.sourcesContent
  return JSON.stringify(parsed)
}

/** One character beyond Latin-1 in a file, and V8 keeps two bytes for each of them. */
function inAscii(code: string): string {
  return code.replace(/[\u0080-\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function pathOf(id: string): string {
  return id.startsWith(root) ? id.slice(root.length).replaceAll('\\', '/') : id
}
