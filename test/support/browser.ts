import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import type { System } from 'rootcatch'
import { afterAll, afterEach } from 'vitest'
import { findChromium } from '../../tools/chromium.ts'
import { handleOf } from './inspecting.ts'

const found = findChromium()

/** Why there is no browser to test with; undefined if there is. */
export const noBrowser: string | undefined = 'missing' in found ? found.missing : undefined

/** One browser for a file, one context for each test; whatever a page complains about fails the test. */
export function browsing(): {
  open(system: System, options?: BrowserContextOptions): Promise<Page>
} {
  let starting: Promise<Browser> | undefined
  const complaints: string[] = []
  const start = (): Promise<Browser> =>
    (starting ??= chromium.launch({
      executablePath: 'path' in found ? found.path : '',
      args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    }))
  afterEach(async () => {
    const browser = await starting
    for (const context of browser?.contexts() ?? []) await context.close()
    const said = complaints.splice(0)
    if (said.length > 0) throw new Error(`The page complained: ${said.join('; ')}`)
  })
  afterAll(async () => (await starting)?.close())
  return {
    open: async (system, options = {}) => {
      const context = await (await start()).newContext({ viewport: { width: 1280, height: 860 }, ...options })
      const page = await context.newPage()
      page.on('pageerror', (error) => complaints.push(String(error)))
      page.on('console', (message) => {
        // A connection that is refused or cut while the process goes away is told by the browser, not by the page.
        const isAway =
          /WebSocket connection|ERR_CONNECTION_RE(?:FUSED|SET)|ERR_EMPTY_RESPONSE|the server responded with a status of 401/
        if (message.type() === 'error' && !isAway.test(message.text())) complaints.push(message.text())
      })
      await page.goto(handleOf(system).link())
      return page
    },
  }
}
