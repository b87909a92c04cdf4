// Builds what the package ships as JavaScript: one file per entry, and what entries share in a few more beside them. Read
// as a hundred files the core takes three times as long to import (decision 028). Types are tsc's.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import manifest from '../package.json' with { type: 'json' }

const root = fileURLToPath(new URL('../', import.meta.url))

/** Found by their own place in the folder, or loaded by it. */
const placed = ['src/node-version', 'src/stack', 'src/isolate/thread', 'src/isolate/threads', 'src/inspect/page-files']

const entries = [
  ...Object.values(manifest.exports).flatMap((entry) => (typeof entry === 'string' ? [] : [entry.default])),
  ...Object.values(manifest.bin),
].map((path) => path.replace(/^(?:\.\/)?dist\//, '').replace(/\.js$/, ''))

const bundle = await rolldown({
  cwd: root,
  input: Object.fromEntries([...entries, ...placed].map((path) => [path, `./${path}.ts`])),
  external: /^[^./]/,
  platform: 'node',
  tsconfig: false,
  treeshake: { moduleSideEffects: (id) => id.endsWith('node-version.ts') },
})
const { output } = await bundle.write({
  dir: `${root}dist`,
  format: 'esm',
  sourcemap: true,
  comments: false, // the sources are shipped beside it
  entryFileNames: '[name].js',
  chunkFileNames: ({ moduleIds }) => {
    const isChart = moduleIds.every((id) => id.startsWith(`${root}machines/`))
    return `${isChart ? 'machines' : 'src'}/[name].shared.js`
  },
})
await bundle.close()

const written = new Set(output.map(({ fileName }) => fileName))
for (const path of [...written].filter((name) => name.endsWith('.map'))) {
  const map = JSON.parse(readFileSync(`${root}dist/${path}`, 'utf8')) as { sourcesContent?: unknown }
  delete map.sourcesContent // the sources stand where it points
  writeFileSync(`${root}dist/${path}`, JSON.stringify(map))
}
for (const path of readdirSync(`${root}dist`, { recursive: true, encoding: 'utf8' })) {
  const isLeft = path.includes('.d.ts')
    ? !existsSync(root + path.replace(/\.d\.ts(?:\.map)?$/, '.ts'))
    : /\.js(?:\.map)?$/.test(path) && !written.has(path.replaceAll('\\', '/'))
  if (isLeft) rmSync(`${root}dist/${path}`) // of an earlier build, and it would be packed
}
