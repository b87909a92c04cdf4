import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import manifest from '../package.json' with { type: 'json' }
import { hasTerminal, inTerminal, rootcatch, startCommand } from './support/command.ts'

/** The numbers of a line of the summary, by what they count. */
function summed(output: string, line: 'jobs' | 'decisions'): Record<string, number> {
  const summary = output.slice(output.lastIndexOf('Summary'))
  const text = summary.split('\n').find((one) => one.trim().startsWith(line)) ?? ''
  return Object.fromEntries(
    [...text.matchAll(/(\d+) ([a-z ]+?)(?= [=+]|,|\r|$)/g)].map(([, count, name]) => [name, Number(count)]),
  )
}

function expectEachJobAccounted(output: string): void {
  const { accepted, ...outcomes } = summed(output, 'jobs')
  expect(Object.keys(outcomes).toSorted()).toEqual(['cancelled', 'done', 'failed', 'fallback'])
  expect(accepted).toBeGreaterThan(0)
  expect(Object.values(outcomes).reduce((sum, jobs) => sum + jobs)).toBe(accepted)
}

function expectEverythingOccurred(output: string): void {
  for (const [outcome, jobs] of Object.entries(summed(output, 'jobs'))) expect(jobs, outcome).toBeGreaterThan(0)
  const decisions = summed(output, 'decisions')
  expect(Object.keys(decisions)).toEqual(['resume', 'restart', 'stop', 'escalate'])
  for (const [decision, times] of Object.entries(decisions)) expect(times, decision).toBeGreaterThan(0)
}

/** What stands below the first lines once all is drawn, as a terminal shows it: rows are drawn over, and cut off. */
function screenOf(output: string): string[] {
  const [, drawn = ''] = output.split('\x1b[?25l')
  let lines: string[] = []
  let row = 0
  for (const part of drawn.split('\x1b[')) {
    const [, count, command = '', text = ''] = /^\??(\d*)([A-Za-z])([^]*)$/.exec(part) ?? ['', '', '', part]
    if (command === 'A') row -= Number(count)
    if (command === 'J') lines = lines.slice(0, row)
    for (const [at, line] of text.replaceAll('\r', '').split('\n').entries()) {
      if (at > 0) row += 1
      if (line !== '') lines[row] = line
      else lines[row] ??= ''
    }
  }
  return lines
}

describe.concurrent('npm start', () => {
  test('is the tour', () => {
    expect(manifest.scripts.start).toContain('dist/src/cli/rootcatch.js tour')
  })

  test('shows in 20 s every outcome and every decision, and accounts for each job', async () => {
    const { code, stdout, stderr } = await rootcatch(['tour', '--seconds', '20'], { NO_COLOR: undefined })
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expectEachJobAccounted(stdout)
    expectEverythingOccurred(stdout)
    expect(stdout).toMatch(/http:\/\/127\.0\.0\.1:\d+\/\?token=\S+\n/)
    expect(stdout).toMatch(
      /failed +archive\/unpack\/job:\d+ .*\(archive escalate, tour escalate, root catch resume\)\n/,
    )
    expect(stdout).toMatch(/failed +lighthouse\/lamp .*\(lighthouse escalate, tour restart\)\n/)
    expect(stdout).toMatch(/caught +clerk\/checkout\/update:\d+ .*\(clerk\/checkout resume\)\n/)
    expect(stdout).toMatch(/answered +archive\/count\/job:\d+ +by the plugin "pictures"\n/)
    expect(stdout).toMatch(/retrying +books\/request:\d+ .*503; again in 400 ms\n/)
    expect(stdout).not.toContain('\u001b') // plain lines, for it is no terminal
  })

  test.runIf(hasTerminal)('draws the tree in a terminal, and gives the cursor back', async () => {
    const tour = inTerminal(['tour', '--seconds', '20'], { columns: 90, rows: 40 })
    expect(await tour.ended).toBe(0)
    const output = tour.said()
    expect(output.split('\x1b[?25l')).toHaveLength(2)
    expect(output.lastIndexOf('\x1b[?25h')).toBeGreaterThan(output.lastIndexOf('\x1b[?25l'))
    const screen = screenOf(output)
    const row = (pattern: RegExp): number => screen.findIndex((line) => pattern.test(line))
    expect(row(/● tour +running/)).toBeGreaterThan(row(/^rootcatch tour/))
    expect(row(/└─ ● books +\d+ done/)).toBeGreaterThan(row(/● tour/))
    expect(row(/^What happened/)).toBeGreaterThan(row(/● books/))
    expect(screen.filter((line) => line.includes('● archive'))).toHaveLength(1) // drawn over, not below
    expectEachJobAccounted(output)
    expectEverythingOccurred(output)
  })

  test.runIf(hasTerminal)('fits a small terminal', async () => {
    const tour = inTerminal(['tour', '--seconds', '6'], { columns: 60, rows: 20 })
    expect(await tour.ended).toBe(0)
    const screen = screenOf(tour.said())
    const picture = screen.slice(0, screen.indexOf('Summary'))
    expect(picture.length).toBeLessThanOrEqual(20)
    expect(Math.max(...picture.map((line) => line.length))).toBeLessThan(60)
    expect(picture.some((line) => line.includes('…'))).toBe(true) // the tree is cut, what happened is not
    expect(picture.indexOf('What happened')).toBeLessThan(picture.length - 3)
    expectEachJobAccounted(tour.said())
  })

  test.for([
    ['in a retry', /retrying +archive/],
    ['after an answer', /by the plugin/],
    ['in a restart', /failed +shop\/till/],
    ['in a job with progress', /A job is cancelled/],
    ['among pages', /A spider tries again/],
  ] as const)('ends with the summary when it is interrupted %s', async ([, pattern]) => {
    const tour = startCommand(['tour', '--seconds', '40'])
    await tour.until(pattern)
    tour.child.kill('SIGINT')
    expect(await tour.ended).toBe(0)
    expectEachJobAccounted(tour.said())
  })

  test('leaves nothing behind', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rootcatch-test-'))
    const { code } = await rootcatch(['tour', '--seconds', '1'], { TMPDIR: folder })
    expect(code).toBe(0)
    expect(readdirSync(folder)).toEqual([])
    rmSync(folder, { recursive: true })
  })

  test('refuses a time that is none', async () => {
    const { code, stderr } = await rootcatch(['tour', '--seconds', 'ten'])
    expect(code).toBe(2)
    expect(stderr).toBe('error: --seconds got "ten". Write a number of seconds, up to 86400.\n')
  })
})
