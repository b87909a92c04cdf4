import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

/** A file that the page is made of. */
export interface PageFile {
  readonly type: string
  read(): Promise<Buffer>
}

const types = { html: 'text/html', css: 'text/css', js: 'text/javascript', svg: 'image/svg+xml' } as const

/** The page is served as it is written: plain modules, which the package ships with its sources. */
const folder = new URL(
  import.meta.url.includes('/dist/src/inspect/') ? '../../../src/inspect/page/' : './page/',
  import.meta.url,
)

/** Each with a file of its own for how it looks. */
const VIEWS = ['chart', 'context', 'dead', 'events', 'failures', 'job', 'plots', 'sequence', 'tree']

const APP = [
  ...VIEWS.flatMap((view) => [`${view}-view.js`, `${view}-view.css`]),
  'app.js',
  'bridge.css',
  'bridge.js',
  'chart-layout.js',
  'diff.js',
  'dom.js',
  'keys.js',
  'link.js',
  'narrow.css',
  'page.css',
  'recording.js',
  'store.js',
]

const VENDOR = {
  'elk-worker.js': 'elkjs/lib/elk-worker.min.js',
  'uplot.js': 'uplot/dist/uPlot.esm.js',
  'uplot.css': 'uplot/dist/uPlot.min.css',
} as const

/** Every path there is, and nothing else: no path of a request ever reaches the disk. */
export function pageFiles(): ReadonlyMap<string, PageFile> {
  const { resolve } = createRequire(import.meta.url)
  return new Map([
    ['/', ownFile('index.html')],
    ['/stately', ownFile('bridge.html')],
    ...APP.map((name) => [`/app/${name}`, ownFile(name)] as const),
    ...Object.entries(VENDOR).map(([name, from]) => [`/vendor/${name}`, file(name, () => resolve(from))] as const),
  ])
}

const ownFile = (name: string): PageFile => file(name, () => new URL(name, folder))

function file(name: string, place: () => string | URL): PageFile {
  const extension = name.slice(name.lastIndexOf('.') + 1) as keyof typeof types
  return { type: `${types[extension]}; charset=utf-8`, read: () => readFile(place()) }
}
