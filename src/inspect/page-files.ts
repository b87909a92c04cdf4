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

const APP = [
  'app.js',
  'bridge.js',
  'chart-layout.js',
  'chart-view.js',
  'context-view.js',
  'dead-view.js',
  'diff.js',
  'dom.js',
  'events-view.js',
  'failures-view.js',
  'job-view.js',
  'keys.js',
  'link.js',
  'page.css',
  'plots-view.js',
  'recording.js',
  'sequence-view.js',
  'store.js',
  'tree-view.js',
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
