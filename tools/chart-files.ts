import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as machines from '../machines/index.ts'
import { layOut } from './chart-layout.ts'
import { renderPage } from './chart-page.ts'
import { drawSvg } from './chart-svg.ts'
import { readChart, type Chart } from './chart.ts'

const root = fileURLToPath(new URL('../', import.meta.url))

/** Every chart that machines/index.ts exports. */
export const charts: readonly Chart[] = Object.values(machines).map(readChart)

/** Writes the picture of each chart, and the page that shows them. */
export async function writeChartFiles(): Promise<void> {
  for (const [path, text] of await renderChartFiles()) writeFileSync(root + path, text)
}

/** The files that are not what the charts say now. */
export async function findOutdatedFiles(): Promise<string[]> {
  const isOutdated = ([path, text]: readonly [string, string]): boolean =>
    !existsSync(root + path) || readFileSync(root + path, 'utf8') !== text
  return (await renderChartFiles()).filter(isOutdated).map(([path]) => path)
}

async function renderChartFiles(): Promise<[path: string, text: string][]> {
  const pictures = charts.map(async (chart): Promise<[string, string]> => {
    return [`machines/${chart.name}.svg`, drawSvg(chart, await layOut(chart))]
  })
  return [...(await Promise.all(pictures)), ['machines/README.md', renderPage(charts)]]
}
