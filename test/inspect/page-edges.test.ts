import { actor, resume, start, supervisor, task, type System } from 'rootcatch'
import { inspector } from 'rootcatch/inspect'
import type { Locator, Page } from 'playwright-core'
import { afterEach, describe, expect, test } from 'vitest'
import { setup } from 'xstate'
import { browsing, noBrowser } from '../support/browser.ts'
import { handleOf, inspected } from '../support/inspecting.ts'
import { tell } from '../support/lives.ts'

const { open } = browsing()

const systems: System[] = []
afterEach(async () => {
  for (const system of systems.splice(0)) await system.stop()
})

const lamp = setup({}).createMachine({
  id: 'lamp',
  initial: 'off',
  states: { off: { on: { press: 'on' } }, on: { on: { press: 'off' } } },
})

async function begin(root: Parameters<typeof start>[0]): Promise<System> {
  const { system } = await inspected(root, {}, { catch: () => resume })
  systems.push(system)
  return system
}

const item = (page: Page, name: string): Locator =>
  page.getByRole('tree', { name: 'Supervision tree' }).getByRole('treeitem', { name: new RegExp(`^${name},`) })

const chartOf = (page: Page): Locator => page.getByRole('figure', { name: 'Statechart' })

describe.skipIf(noBrowser !== undefined)(`the page${noBrowser === undefined ? '' : ` (${noBrowser})`}`, () => {
  test('draws a chart of more than 300 states as nested boxes, and says so', async () => {
    const states = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`s${n}`, { on: { go: `s${n + 1}` } }]))
    const wide = setup({}).createMachine({ id: 'wide', initial: 's0', states: { ...states, s300: {} } })
    const system = await begin(supervisor('app', [actor('wide', wide)]))
    const page = await open(system)
    await item(page, 'wide').click()
    await page.getByText('302 states are too many to draw with their edges.').waitFor()
    await chartOf(page).locator('.box.active .box-name', { hasText: /^s0$/ }).waitFor()
    tell(system, 'app/wide', { type: 'go' } as never)
    await chartOf(page).locator('.box.active .box-name', { hasText: /^s1$/ }).waitFor()
    expect(await chartOf(page).locator('svg').count()).toBe(0)
  })

  test('draws nested boxes where no layout is found within 3 s, once', async () => {
    const system = await begin(supervisor('app', [actor('lamp', lamp)]))
    const page = await open(system)
    await page.clock.install()
    await page.route('**/vendor/elk-worker.js', (route) =>
      route.fulfill({ contentType: 'text/javascript', body: 'onmessage = () => {}' }),
    )
    await page.reload()
    await item(page, 'lamp').click()
    await page.getByText('Laying out the chart …').waitFor()
    await page.clock.fastForward(3_100)
    await page.getByText('The layout took too long.').waitFor()
    await chartOf(page).locator('.box.active .box-name', { hasText: 'off' }).waitFor()
    expect(await page.getByText('Laying out the chart …').count()).toBe(0)
  })

  test('tells whether its tab is hidden, and shows what came meanwhile', async () => {
    const system = await begin(supervisor('app', [actor('lamp', lamp)]))
    const page = await open(system)
    const said: string[] = []
    await item(page, 'lamp').waitFor()
    page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => said.push(String(payload))))
    await page.reload()
    await item(page, 'lamp').waitFor()
    const show = (isHidden: boolean): Promise<unknown> =>
      page.evaluate(`
        Object.defineProperty(document, 'hidden', { configurable: true, get: () => ${isHidden} })
        document.dispatchEvent(new Event('visibilitychange'))`)
    await show(true)
    await expect.poll(() => said.at(-1)).toBe('{"type":"view","hidden":true}')
    tell(system, 'app/lamp', { type: 'press' } as never)
    await show(false)
    await expect.poll(() => said.at(-1)).toBe('{"type":"view","hidden":false}')
    await page.getByRole('treeitem', { name: /^lamp, actor, on$/ }).waitFor()
  })

  test('comes back by itself after a lost connection, with everything, and nothing doubled', async () => {
    const system = await begin(supervisor('app', [actor('lamp', lamp)]))
    const page = await open(system)
    const closes: (() => Promise<void>)[] = []
    await page.routeWebSocket('**/live', (socket) => {
      socket.connectToServer()
      closes.push(() => socket.close())
    })
    await page.reload()
    await item(page, 'lamp').click()
    tell(system, 'app/lamp', { type: 'press' } as never)
    await page.getByRole('treeitem', { name: /^lamp, actor, on$/ }).waitFor()
    const log = page.getByRole('log', { name: 'Events' })
    await log.getByText('press', { exact: true }).waitFor()
    await closes[0]?.()
    await page.locator('.pill', { hasText: 'connection lost' }).waitFor()
    tell(system, 'app/lamp', { type: 'press' } as never)
    await page.locator('.pill', { hasText: 'live' }).waitFor()
    await page.getByRole('treeitem', { name: /^lamp, actor, off$/ }).waitFor()
    expect(await item(page, 'lamp').count()).toBe(1)
    expect(await item(page, 'lamp').getAttribute('aria-selected')).toBe('true')
    await chartOf(page).locator('.box.active .name', { hasText: 'off' }).waitFor()
    expect(await log.getByText('press', { exact: true }).count()).toBeLessThanOrEqual(2)
  })

  test('says that another process came up in the place of the one it showed', async () => {
    const { system, url } = await inspected(supervisor('app', [actor('lamp', lamp)]))
    const page = await open(system)
    await item(page, 'lamp').waitFor()
    await system.stop()
    await page.locator('.pill', { hasText: 'system stopped' }).waitFor()
    const again = await start(supervisor('app', [actor('lamp', lamp)]), {
      inspect: inspector({ port: Number(url.port), announce: false }),
    })
    systems.push(again)
    await page.locator('.pill', { hasText: 'another process: use the link it printed' }).waitFor()
    await page.goto(handleOf(again).link())
    await page.locator('.pill', { hasText: 'live' }).waitFor()
    await expect.poll(() => item(page, 'lamp').count()).toBe(1)
  })

  test('lists 5 000 actors, and the rest as one scrolls to them', async () => {
    const lamps = Array.from({ length: 5_400 }, (_, n) => actor(`lamp-${n}`, lamp))
    const page = await open(await begin(supervisor('app', lamps)))
    const tree = page.getByRole('tree', { name: 'Supervision tree' })
    await item(page, 'lamp-0').waitFor()
    await tree.focus()
    const toTheEnd = async (): Promise<number> => {
      await page.keyboard.press('End')
      return item(page, 'lamp-5399').count()
    }
    await expect.poll(toTheEnd).toBe(1)
    expect(await page.getByRole('treeitem', { name: /more$/ }).count()).toBe(0)
    await page.locator('.facts', { hasText: '5401' }).waitFor()
    await page.keyboard.press('End')
    await page.keyboard.press('Enter')
    await page.locator('.selected .path', { hasText: 'app/lamp-5399' }).waitFor()
  })

  test('offers a window of its own where the viewer of Stately has not answered for 8 s', async () => {
    const page = await open(await begin(supervisor('app', [actor('lamp', lamp)])))
    await item(page, 'lamp').waitFor()
    const asked: string[] = []
    await page.context().route('https://stately.ai/**', (route) => {
      asked.push(route.request().url())
      return route.fulfill({ contentType: 'text/html', body: '<title>deaf</title>' })
    })
    await page.clock.install()
    await page.goto(new URL('/stately', page.url()).href)
    await page.getByText('https://stately.ai').waitFor()
    expect(asked).toEqual([])
    await page.getByRole('button', { name: 'Connect' }).click()
    await expect.poll(() => asked).toEqual(['https://stately.ai/inspect'])
    await page.clock.fastForward(7_000)
    expect(await page.getByRole('status').isHidden()).toBe(true)
    await page.clock.fastForward(2_000)
    await page.getByText('https://stately.ai has not answered within 8 s.').waitFor()
    const popup = page.waitForEvent('popup')
    await page.getByRole('button', { name: 'Open it in a window' }).click()
    expect((await popup).url()).toBe('https://stately.ai/inspect')
  })

  test('is walked through by Tab alone, each stop named and visible', async () => {
    const page = await open(await begin(supervisor('app', [actor('lamp', lamp)])))
    await item(page, 'lamp').click()
    await chartOf(page).locator('.box.active').first().waitFor()
    const stops: string[] = []
    for (let n = 0; n < 40; n += 1) {
      await page.keyboard.press('Tab')
      stops.push(
        await page.evaluate<string>(`(() => {
          const at = document.activeElement
          const name = at.getAttribute('aria-label') ?? at.labels?.[0]?.textContent ?? at.textContent
          const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(at.querySelector('.focused') ?? at)
          const isSeen = (outlineStyle !== 'none' && outlineWidth !== '0px') || boxShadow !== 'none'
          return name.trim() + (at === document.body || isSeen ? '' : ' UNSEEN')
        })()`),
      )
    }
    for (const name of ['Pause', 'Export', 'Open in Stately', 'Search actors', 'Only failing', 'Supervision tree'])
      expect(stops).toContain(name)
    for (const name of ['Zoom in', 'Zoom out', 'Fit', 'Events', 'Filter events', 'Kind of event'])
      expect(stops).toContain(name)
    expect(stops.filter((name) => name.endsWith('UNSEEN'))).toEqual([])
  })

  test.each(['light', 'dark'] as const)(
    'has contrast of 4.5:1 in every text of every view, %s',
    async (colorScheme) => {
      const bad = task('bad', { retry: { attempts: 1 } }, () => {
        throw new Error('no', { cause: new Error('why') })
      })
      const system = await begin(supervisor('app', [actor('lamp', lamp), bad]))
      const page = await open(system, { colorScheme })
      await item(page, 'lamp').click()
      await chartOf(page).locator('.box.active').first().waitFor()
      await system.run(bad, undefined).settled()
      tell(system, 'app/lamp', { type: 'press' } as never)
      tell(system, 'app/lamp', { type: 'nobody takes this' } as never)
      await page.getByRole('treeitem', { name: /failing$/ }).waitFor()
      const weak: string[] = []
      for (const name of ['Events', 'Failures', 'Job', 'Dead letters', 'Sequence', 'Plots']) {
        if (name === 'Job') await page.getByRole('button', { name: 'job', exact: true }).first().click()
        else await page.getByRole('tab', { name, exact: true }).click()
        if (name === 'Dead letters') await page.getByRole('cell', { name: 'no', exact: true }).click()
        weak.push(...(await page.evaluate<string[]>(weakTexts)).map((text) => `${name}: ${text}`))
      }
      expect([...new Set(weak)]).toEqual([])
    },
  )

  test.each([360, 2_500])('keeps long paths, big contexts and hostile names inside, %i px wide', async (width) => {
    const long = 'a-name-without-a-space-'.repeat(9)
    const context = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`${long}${n}`, 'x'.repeat(3_000)]))
    const machine = setup({}).createMachine({ id: long, context, initial: long, states: { [long]: {} } })
    const hostile = '\u202Egnp.exe\u0000\u001B[31m<b>'
    const system = await begin(
      supervisor('app', [supervisor(long, [actor(`${long}x`, machine), actor(hostile, machine)])]),
    )
    const page = await open(system, { viewport: { width, height: 800 } })
    if (width < 900) await page.getByRole('button', { name: 'Show the tree' }).click()
    await page.getByRole('treeitem').nth(2).click()
    await page.getByRole('complementary', { name: 'Context' }).getByText('a-name').first().waitFor()
    for (const key of ['1', '2', '3', '4', '5', '6']) await page.keyboard.press(key)
    await page.screenshot({ path: `.cache/screenshots/wide-${width}.png` })
    expect(await page.evaluate<readonly string[]>(outside)).toEqual([])
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width)
    expect(await page.locator('b', { hasText: 'gnp' }).count()).toBe(0)
    expect(await page.evaluate(`/[\\u202E\\0\\x1B]/.test(document.body.textContent)`)).toBe(false)
  })
})

/** What is wider than the window. */
const outside = `document.documentElement.scrollWidth <= innerWidth ? [] : [...document.body.querySelectorAll('*')]
  .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
  .map((element) => element.tagName + ' ' + element.id + ' ' + element.getAttribute('class')).slice(0, 20)`

/** Texts that stand out too little from what is behind them. */
const weakTexts = `(() => {
  const parse = (colour) => {
    const parts = colour.match(/[\\d.]+/g).map(Number)
    return { rgb: parts.slice(0, 3), alpha: parts[3] ?? 1 }
  }
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((part) => {
      const value = part / 255
      return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const backOf = (element) => {
    const layers = []
    for (let at = element; at !== null; at = at.parentElement) {
      const { rgb, alpha } = parse(getComputedStyle(at).backgroundColor)
      if (alpha > 0) layers.push({ rgb, alpha })
      if (alpha === 1) break
    }
    return layers.reduceRight((under, { rgb, alpha }) => rgb.map((part, n) => part * alpha + under[n] * (1 - alpha)), [255, 255, 255])
  }
  const weak = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim()
    const element = walker.currentNode.parentElement
    if (text === '' || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue
    if (element.closest('.unseen, script, style, option, title')) continue
    const style = getComputedStyle(element)
    const colour = parse(element instanceof SVGElement ? style.fill : style.color).rgb
    const [one, other] = [luminance(colour), luminance(backOf(element))]
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)
    if (ratio < 4.5) weak.push(text.slice(0, 30) + ' ' + element.getAttribute('class') + ' ' + ratio.toFixed(2))
  }
  return weak
})()`
