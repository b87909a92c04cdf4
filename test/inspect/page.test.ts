import { actor, resume, start, supervisor, task, type System } from 'rootcatch'
import { inspector } from 'rootcatch/inspect'
import { mkdirSync, readFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import type { Locator, Page } from 'playwright-core'
import { assign, setup } from 'xstate'
import { browsing, noBrowser } from '../support/browser.ts'
import { ask, handleOf, inspected } from '../support/inspecting.ts'

const { open } = browsing()
const pictures = '.cache/screenshots'
mkdirSync(pictures, { recursive: true })

const systems: System[] = []
afterEach(async () => {
  for (const system of systems.splice(0)) await system.stop()
})

const door = setup({
  guards: { locked: ({ context }) => (context as { opened: number }).opened > 100 },
}).createMachine({
  id: 'door',
  initial: 'closed',
  context: { opened: 0, password: 'hunter2' },
  states: {
    closed: {
      on: {
        open: [
          { guard: 'locked', target: 'closed' },
          { target: 'open', actions: assign({ opened: ({ context }) => context.opened + 1 }) },
        ],
      },
    },
    open: { on: { close: 'closed' } },
  },
})

const flaky = task(
  'flaky',
  { retry: { attempts: 1 } },
  (input: { readonly fails: boolean; readonly text?: string }) => {
    if (input.fails) throw new Error(input.text ?? 'nobody home', { cause: new Error('the line is dead') })
    return 'fine'
  },
)

const world = (): Parameters<typeof start>[0] => {
  const storefront = supervisor('storefront', [actor('door', door)])
  return supervisor('app', [storefront, supervisor('media', [flaky])])
}

async function begin(options: Parameters<typeof inspected>[1] = {}): Promise<{ system: System; page: Page }> {
  const { system } = await inspected(world(), options, { catch: () => resume })
  systems.push(system)
  return { system, page: await open(system) }
}

const item = (page: Page, name: string): Locator =>
  page.getByRole('tree', { name: 'Supervision tree' }).getByRole('treeitem', { name: new RegExp(`^${name},`) })

const send = (system: System, event: { type: string }): void => {
  const [child] = system.supervisor('app/storefront').children()
  child?.ref.send(event)
}

const tab = (page: Page, name: string): Promise<void> => page.getByRole('tab', { name, exact: true }).click()

/** A file is dropped on the page. */
const drop = (page: Page, text: string): Promise<unknown> =>
  page.evaluate(`
    const data = new DataTransfer()
    data.items.add(new File([${JSON.stringify(text)}], 'a.jsonl'))
    document.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }))`)

/** The lowest contrast of some texts with what they stand on. */
const contrast = `(() => {
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/\\d+/g).map((part) => {
      const value = Number(part) / 255
      return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const back = luminance(getComputedStyle(document.querySelector('.pane')).backgroundColor)
  const of = (selector) => {
    const text = luminance(getComputedStyle(document.querySelector(selector)).color)
    return (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05)
  }
  return Math.min(...['.facts dt', '.state', '.meta', '.tabs button'].map(of))
})()`

describe.skipIf(noBrowser !== undefined)(`the page${noBrowser === undefined ? '' : ` (${noBrowser})`}`, () => {
  test('comes in by the link, shows the tree open, and its title tells the root', async () => {
    const { page } = await begin()
    for (const name of ['app', 'storefront', 'door', 'media', 'flaky']) await item(page, name).waitFor()
    expect(new URL(page.url()).search).toBe('')
    await expect.poll(() => page.title()).toBe('app · rootcatch')
    await page.screenshot({ path: `${pictures}/tree.png` })
  })

  test('shows the chart of what is selected, and highlights the state and the one edge that was taken', async () => {
    const { system, page } = await begin()
    await item(page, 'door').click()
    const chart = page.getByRole('figure', { name: 'Statechart' })
    await chart.locator('.box.active .name', { hasText: 'closed' }).waitFor()
    send(system, { type: 'open' })
    await chart.locator('.box.active .name', { hasText: 'open' }).waitFor()
    await chart.locator('text.fired').waitFor()
    expect(await chart.locator('text.fired').allTextContents()).toEqual(['open / assign'])
    const context = page.getByRole('complementary', { name: 'Context' })
    await context.getByText('opened 0 → 1').waitFor()
    expect(await context.textContent()).not.toContain('hunter2')
    await page.screenshot({ path: `${pictures}/chart.png` })
  })

  test('turns up a job that fails, live: node, card with trail and causes, title, and a polite word', async () => {
    const { system, page } = await begin()
    await tab(page, 'Failures')
    await page.getByText('One shows up here with every supervisor it climbed through.').waitFor()
    const run = system.run(flaky, { fails: true })
    await run.settled()
    const card = page.getByRole('article', { name: `Failure of ${run.path}` })
    await card.waitFor()
    expect(await card.count()).toBe(1)
    expect(await card.getByRole('list', { name: 'Who decided' }).getByRole('listitem').allTextContents()).toEqual([
      'app/mediaescalateby default',
      'appescalateby default',
      'root catchresumeby catch',
    ])
    expect(await card.textContent()).toContain('the line is dead')
    await expect.poll(() => page.title()).toBe('1 failing · app · rootcatch')
    await page.getByRole('treeitem', { name: /^flaky, task, .*failing$/ }).waitFor()
    await page.getByRole('status').filter({ hasText: 'failed' }).waitFor({ state: 'attached' })
    await card.getByRole('button', { name: 'job' }).click()
    await page.getByText('idempotency key').waitFor()
    await page.screenshot({ path: `${pictures}/job.png` })
  })

  test('shows only what is failing, with the way up to the root', async () => {
    const { system, page } = await begin()
    await item(page, 'door').waitFor()
    await system.run(flaky, { fails: true }).settled()
    await page.getByRole('treeitem', { name: /failing$/ }).waitFor()
    await page.getByRole('button', { name: 'Only failing' }).click()
    await item(page, 'door').waitFor({ state: 'hidden' })
    await expect.poll(() => page.getByRole('treeitem').count()).toBe(3)
    await item(page, 'app').waitFor()
  })

  test('is used by keys alone: search, arrows, Enter, views, pause, Escape; none while typing', async () => {
    const { system, page } = await begin()
    await item(page, 'door').waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('flaky2p')
    expect(await page.getByRole('searchbox', { name: 'Search actors' }).inputValue()).toBe('flaky2p')
    expect(await page.getByRole('button', { name: 'Pause' }).count()).toBe(1)
    await page.keyboard.press('Escape')
    await page.keyboard.press('Home')
    for (let n = 0; n < 3; n += 1) await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Enter')
    await page.locator('.selected .path', { hasText: 'app/media' }).waitFor()
    await page.keyboard.press('2')
    await page.getByRole('tab', { name: 'Failures', exact: true, selected: true }).waitFor()
    await page.keyboard.press('1')
    await page.keyboard.press('p')
    await page.locator('.pill', { hasText: 'paused' }).waitFor()
    for (let n = 0; n < 3; n += 1) send(system, { type: 'open' })
    await page.getByRole('button', { name: /^Go on \(\d+\)$/ }).waitFor()
    await page.keyboard.press('p')
    await page.getByRole('log', { name: 'Events' }).getByText('open', { exact: true }).first().waitFor()
    await page.keyboard.press('?')
    await page.getByRole('heading', { name: 'Keys' }).waitFor()
  })

  test('filters events by type, path and pattern', async () => {
    const { system, page } = await begin()
    const log = page.getByRole('log', { name: 'Events' })
    await item(page, 'door').waitFor()
    send(system, { type: 'open' })
    await system.run(flaky, { fails: false })
    await log.getByText('job.done').waitFor()
    const filter = page.getByRole('searchbox', { name: 'Filter events' })
    await filter.fill('/^open .*door$/')
    await log.getByText('job.done').waitFor({ state: 'detached' })
    expect(await log.locator('.event .type').allTextContents()).toEqual(['open'])
    await filter.fill('no such thing')
    await page.getByText('Nothing that fits the filter has happened yet.').waitFor()
  })

  test('keeps texts of the user text everywhere', async () => {
    const nasty = '<img src=x onerror="globalThis.hacked=1">'
    const machine = setup({}).createMachine({
      id: nasty,
      context: { [nasty]: nasty },
      initial: nasty,
      states: { [nasty]: {} },
    })
    const bad = task('bad', { retry: { attempts: 1 } }, (_: { html: string }) => {
      throw new Error(nasty)
    })
    const root = supervisor(nasty.replaceAll('/', ''), [actor(nasty, machine), bad])
    const { system } = await inspected(root, {}, { catch: () => resume })
    systems.push(system)
    const page = await open(system)
    await page.getByRole('treeitem').nth(1).click()
    const [child] = system.supervisor(system.name).children()
    child?.ref.send({ type: nasty, html: nasty })
    await system.run(bad, { html: nasty }).settled()
    for (const name of ['Failures', 'Job', 'Dead letters', 'Sequence', 'Plots', 'Events']) await tab(page, name)
    await page.getByRole('log', { name: 'Events' }).getByText(nasty).first().waitFor()
    expect(await page.evaluate(`['hacked' in globalThis, document.querySelectorAll('img').length]`)).toEqual([false, 0])
  })

  test('replays and discards dead letters with control, asks first, and tells it', async () => {
    const { system, page } = await begin({ control: true })
    const used: string[] = []
    system.on('inspector.used', ({ action, target }) => used.push(`${action} ${target}`))
    const run = system.run(flaky, { fails: true })
    await run.settled()
    await tab(page, 'Dead letters')
    await page.getByRole('combobox', { name: 'Kind of failure' }).selectOption('timeout')
    await page.getByText('No dead letters.').waitFor()
    await page.getByRole('combobox', { name: 'Kind of failure' }).selectOption('')
    await page.getByRole('combobox', { name: 'Task' }).selectOption('app/media/flaky')
    await page.getByRole('cell', { name: 'nobody home' }).click()
    await page.getByRole('button', { name: 'Discard' }).click()
    await page.getByRole('dialog').getByText(`Discard job ${run.id} of app/media/flaky?`).waitFor()
    await page.screenshot({ path: `${pictures}/dead.png` })
    await page.getByRole('dialog').getByRole('button', { name: 'Yes' }).click()
    await page.getByText('No dead letters.').waitFor()
    expect(used).toEqual([`discard ${run.id}`])
    expect(await system.dead.list()).toEqual([])
  })

  test('has no button that acts without control', async () => {
    const { system, page } = await begin()
    await system.run(flaky, { fails: true }).settled()
    await tab(page, 'Dead letters')
    await page.getByRole('cell', { name: 'nobody home' }).click()
    await page.getByRole('heading', { name: /^Job / }).waitFor()
    for (const name of ['Replay', 'Discard', 'Stop', 'Restart']) {
      expect(await page.getByRole('button', { name, exact: true }).count(), name).toBe(0)
    }
  })

  test('says that the system stopped, and is live again with one that comes up in its place, nothing doubled', async () => {
    const first = await inspected(world(), {}, { catch: () => resume })
    const page = await open(first.system)
    await item(page, 'door').waitFor()
    await first.system.stop()
    await page.locator('.pill', { hasText: 'system stopped' }).waitFor()
    await item(page, 'door').waitFor()
    const port = Number(first.url.port)
    const again = await start(world(), { catch: () => resume, inspect: inspector({ port, announce: false }) })
    systems.push(again)
    // The cookie of the first one is nobody's any more: in by a new link.
    await page.goto(handleOf(again).link())
    await page.locator('.pill', { hasText: 'live' }).waitFor()
    await expect.poll(() => item(page, 'door').count()).toBe(1)
  })

  test('saves what it has shown, and opens it again, read only', async () => {
    const { system, page } = await begin({ control: true })
    await item(page, 'door').click()
    await system.run(flaky, { fails: true }).settled()
    await page.getByRole('treeitem', { name: /failing$/ }).waitFor()
    const saved = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Export' }).click()
    const text = readFileSync(await (await saved).path(), 'utf8')
    expect(JSON.parse(text.split('\n')[0] ?? '')).toMatchObject({
      type: 'hello',
      version: 1,
      system: { control: false },
    })
    expect(text).not.toContain('hunter2')
    const before = await page.getByRole('treeitem').allTextContents()
    await drop(page, text)
    await page.getByText('A recording, read only.').waitFor()
    const names = (rows: readonly string[]): readonly string[] =>
      rows.map((row) => row.replace(/\d+\/s/, '').slice(0, 10))
    expect(names(await page.getByRole('treeitem').allTextContents())).toEqual(names(before))
    expect(await page.getByRole('button', { name: 'Restart', exact: true }).count()).toBe(0)
    await page.getByRole('complementary', { name: 'Context' }).getByText('opened').waitFor()
    await page.getByRole('figure', { name: 'Statechart' }).locator('.box.active .name', { hasText: 'closed' }).waitFor()
    await tab(page, 'Failures')
    await page.getByRole('article').waitFor()
    await page.screenshot({ path: `${pictures}/recording.png` })
  })

  test('opens what GET /export gave, and goes through its time', async () => {
    const { system, url, cookie } = await inspected(world(), {}, { catch: () => resume })
    systems.push(system)
    const page = await open(system)
    await item(page, 'door').click()
    const chart = page.getByRole('figure', { name: 'Statechart' })
    await chart.locator('.box.active .name', { hasText: 'closed' }).waitFor()
    send(system, { type: 'open' })
    await chart.locator('.box.active .name', { hasText: 'open' }).waitFor()
    const { text } = await ask(new URL('/export', url), { headers: { cookie: await cookie() } })
    await drop(page, text)
    await page.getByText('A recording, read only.').waitFor()
    await chart.locator('.box.active .name', { hasText: 'open' }).waitFor()
    await expect.poll(() => page.getByText('opened 0 → 1').count()).toBe(1)
    await page.getByRole('slider', { name: 'Time' }).fill('0')
    await chart.locator('.box.active .name', { hasText: 'closed' }).waitFor()
  })

  test('fits a narrow window, where the tree is a drawer, and a dark one', async () => {
    const { system } = await inspected(world(), {}, { catch: () => resume })
    systems.push(system)
    const page = await open(system, { viewport: { width: 360, height: 780 }, colorScheme: 'dark' })
    await page.getByRole('figure', { name: 'Statechart' }).waitFor()
    await page.getByRole('button', { name: 'Show the tree' }).click()
    await item(page, 'door').click()
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
    const ratio = await page.evaluate(contrast)
    expect(ratio).toBeGreaterThan(4.5)
    await page.screenshot({ path: `${pictures}/narrow-dark.png` })
  })

  test('needs less than a second of the processor for its first picture of 1 000 actors', async () => {
    const many = supervisor(
      'many',
      Array.from({ length: 1_000 }, (_, n) => actor(`door-${n}`, door)),
    )
    const { system } = await inspected(many)
    systems.push(system)
    const page = await open(system)
    const devtools = await page.context().newCDPSession(page)
    // What page and server take, not what a busy machine takes away from them.
    await devtools.send('Performance.enable', { timeDomain: 'threadTicks' })
    const before = process.cpuUsage()
    await page.reload()
    await expect.poll(() => page.evaluate(`performance.getEntriesByName('first-tree').length`)).toBe(1)
    const { metrics } = await devtools.send('Performance.getMetrics')
    const { user, system: kernel } = process.cpuUsage(before)
    const inPage = metrics.find(({ name }) => name === 'TaskDuration')?.value ?? NaN
    expect(inPage).toBeGreaterThan(0)
    expect(inPage + (user + kernel) / 1e6).toBeLessThan(1)
  })
})
