/** Somebody who looks on: a page in Chromium, or a client that reads all frames and shows nothing. */
import { chromium } from 'playwright-core'
import { findChromium } from '../../tools/chromium.ts'

export interface Look {
  readonly kind: 'page open' | 'client reads'
  /** How often a second the page is painted here while nothing happens. */
  readonly idleFps: number | undefined
  begin(): void
  /** Bytes a second since `begin`, and how often the page was painted. */
  measure(seconds: number): Promise<{ readonly perSecond: number; readonly fps: number | undefined }>
  /** Resolves once an event of this name is on the screen. */
  shows(name: string): Promise<unknown> | undefined
  /** The longest time, in ms, that the page did nothing else while it showed the chart of this node. */
  longestTask(name: string): Promise<number> | undefined
  end(): Promise<void>
}

export async function lookOn(link: string, inBrowser: boolean): Promise<Look> {
  const found = inBrowser ? findChromium() : { missing: 'not asked for' }
  return 'path' in found ? openPage(link, found.path) : readFrames(link)
}

async function readFrames(link: string): Promise<Look> {
  const { headers } = await fetch(link, { redirect: 'manual' })
  const cookie = headers.get('set-cookie')?.split(';')[0] ?? ''
  const { host, origin } = new URL(link)
  // Node's own WebSocket takes headers.
  const socket = new WebSocket(`ws://${host}/live`, { headers: { cookie, origin } } as never)
  let bytes = 0
  socket.addEventListener('message', ({ data }) => (bytes += (data as string).length))
  await new Promise((resolve) => socket.addEventListener('message', resolve, { once: true }))
  return {
    kind: 'client reads',
    idleFps: undefined,
    begin: () => void (bytes = 0),
    measure: async (seconds) => ({ perSecond: bytes / seconds, fps: undefined }),
    shows: () => undefined,
    longestTask: () => undefined,
    end: async () => {
      socket.close()
      await new Promise((resolve) => setTimeout(resolve, 50))
    },
  }
}

async function openPage(link: string, executablePath: string): Promise<Look> {
  const args = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage']
  const browser = await chromium.launch({ executablePath, args })
  const page = await browser.newPage({ viewport: { width: 1280, height: 860 } })
  let bytes = 0
  page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => (bytes += payload.length)))
  await page.goto(link)
  await page.getByRole('treeitem').nth(3).waitFor()
  await page.evaluate(`(() => {
    globalThis.frames = 0
    const count = () => { globalThis.frames += 1; requestAnimationFrame(count) }
    count()
  })()`)
  const frames = (): Promise<number> => page.evaluate<number>('globalThis.frames')
  const before = await frames()
  await page.waitForTimeout(2_000)
  const idleFps = ((await frames()) - before) / 2
  return {
    kind: 'page open',
    idleFps,
    begin: () => {
      bytes = 0
      void page.evaluate('globalThis.frames = 0')
    },
    measure: async (seconds) => ({
      perSecond: bytes / seconds,
      fps: (await frames()) / seconds,
    }),
    shows: (name) =>
      page.getByRole('log', { name: 'Events' }).getByText(name, { exact: true }).waitFor({ timeout: 20_000 }),
    longestTask: async (name) => {
      await page.evaluate(`globalThis.longest = 0
        new PerformanceObserver((list) => {
          for (const { duration } of list.getEntries()) globalThis.longest = Math.max(globalThis.longest, duration)
        }).observe({ type: 'longtask' })`)
      await page.getByRole('treeitem', { name: new RegExp(`^${name},`) }).click()
      await page.getByRole('figure', { name: 'Statechart' }).locator('.box').nth(150).waitFor({ state: 'attached' })
      await page.waitForTimeout(500)
      return page.evaluate<number>('globalThis.longest')
    },
    end: () => browser.close(),
  }
}
