// Makes the pictures of docs/guides/inspecting.md from the tour while it runs, in the Chromium that is there:
// `npm run -s build && npx node tools/screenshots.ts`. With a folder as argument they go there.
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { chromium, type Page } from 'playwright-core'
import { findChromium } from './chromium.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = process.argv[2] ?? join(root, 'docs/pictures')
const found = findChromium()
if ('missing' in found) throw new Error(found.missing)
mkdirSync(folder, { recursive: true })

const browser = await chromium.launch({
  executablePath: found.path,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
})
const context = await browser.newContext({ viewport: { width: 1440, height: 860 }, deviceScaleFactor: 1 })
const [light, dark, phone] = [await context.newPage(), await context.newPage(), await context.newPage()]
await dark.emulateMedia({ colorScheme: 'dark' })
await phone.setViewportSize({ width: 390, height: 780 })

const tour = spawn(process.execPath, ['dist/src/cli/rootcatch.js', 'tour', '--seconds', '120'], {
  cwd: root,
  stdio: ['ignore', 'pipe', 'inherit'],
})
process.once('exit', () => tour.kill())
const lines: string[] = []
let wake = (): void => {}
createInterface({ input: tour.stdout }).on('line', (line) => {
  lines.push(line)
  wake()
})

/** The first line that fits, now or later. */
async function says(wanted: RegExp): Promise<string> {
  for (;;) {
    const line = lines.find((one) => wanted.test(one))
    if (line !== undefined) return line
    await new Promise<void>((resolve) => (wake = resolve))
  }
}

const link = /http\S+/.exec(await says(/http:\/\/127\.0\.0\.1/))?.[0] ?? ''
await light.goto(link)
await open(light, 'compress')
await Promise.all([dark.goto(new URL('/', link).href), phone.goto(new URL('/', link).href)])

// An actor that crashed, and whom it talks to.
await says(/An actor crashes/)
await item(light, 'till').click()
await item(dark, 'till').click()
await says(/restarted +shop\/till/)
await light.keyboard.press('5')
await shoot(light, 'sequence', 150)

// A failure, its job, its dead letter.
await says(/A failure climbs/)
await light.keyboard.press('2')
const card = light.getByRole('article').filter({ hasText: 'unpack' })
await card.waitFor()
await shoot(light, 'failures', 100)
await light.keyboard.press('4')
await light.locator('.dead tbody tr').first().click()
await light.getByRole('heading', { name: /^Job / }).waitFor()
await shoot(light, 'dead-letters', 100)

await says(/A job is cancelled/)
await light.keyboard.press('2')
await light.getByRole('article').filter({ hasText: 'unpack' }).getByRole('button', { name: 'job' }).click()
await light.getByText('idempotency key').waitFor()
await shoot(light, 'job', 100)

// The bot, with the chart of what it runs in, and its poller.
await says(/A bot catches/)
await light.keyboard.press('1')
await open(light, 'clerk')
await item(light, 'clerk').click()
await open(dark, 'clerk')
await dark.waitForTimeout(300) // rows have stopped moving
await item(dark, 'poller').click()
await dark.locator('.box.active').nth(1).waitFor()
await says(/A spider tries again/)
await shoot(light, 'tree', 300)
await shoot(dark, 'dark', 0)
await dark.keyboard.press('6')
await phone.keyboard.press('2')
await phone.getByRole('tab', { name: 'Failures' }).evaluate((tab) => tab.scrollIntoView())
await shoot(phone, 'phone', 100)
await says(/retrying +books/)
await shoot(dark, 'plots-dark', 300)
await browser.close()
tour.kill('SIGINT')
tour.stdout.resume()

function item(page: Page, name: string) {
  return page.getByRole('treeitem', { name: new RegExp(`^${name},`) })
}

/** Its jobs, each by itself. */
async function open(page: Page, name: string): Promise<void> {
  await item(page, name).locator('.fold').click()
}

async function shoot(page: Page, name: string, settle: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, settle)) // a flash is over, a layout stands
  await page.screenshot({ path: join(folder, `inspector-${name}.png`) })
}
