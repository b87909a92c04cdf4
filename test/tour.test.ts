import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { root } from './support/child.ts'

const headings = [
  'A task tries again',
  'A task falls back',
  'A plugin answers',
  'An actor crashes and comes back',
  'A failure climbs to the root catch',
  'Actors are spawned in code',
  'A job is cancelled',
  'A bot catches an error',
  'A spider tries again',
  'The tree as it is',
  'Everything stops',
  'Summary',
]

/** Runs the tour as a user does, piped; `onLine` may act on a line while it runs. */
function takeTour(onLine?: (line: string, interrupt: () => void) => void) {
  const env = { ...process.env, NO_COLOR: undefined, FORCE_COLOR: undefined }
  const child = spawn(process.execPath, [join(root, 'examples/tour.ts')], { cwd: root, env, timeout: 50_000 })
  let stdout = ''
  let stderr = ''
  let begun = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    const lines = (begun + text).split('\n')
    begun = lines.pop() ?? ''
    for (const line of lines) onLine?.(line, () => child.kill('SIGINT'))
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

/** The headings that were printed, in their order. */
function headingsOf(output: string): string[] {
  return output.split('\n').filter((line) => headings.includes(line))
}

/** The numbers of the summary's line of jobs, by name. */
function jobsOf(output: string): Record<string, number> {
  const sum = output.split('\n').find((line) => line.includes(' accepted = ')) ?? ''
  return Object.fromEntries([...sum.matchAll(/(\d+) (\w+)/g)].map(([, count, name]) => [name, Number(count)]))
}

describe.concurrent('npm start', { timeout: 60_000 }, () => {
  let whole: ReturnType<typeof takeTour> | undefined
  const wholeTour = () => (whole ??= takeTour())

  test('shows each act in order, ends by itself, and accounts for every job', async () => {
    const { code, stdout, stderr } = await wholeTour()
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(headingsOf(stdout)).toEqual(headings)
    expect(jobsOf(stdout)).toEqual({ accepted: 13, done: 9, fallback: 1, failed: 1, cancelled: 2 })
  })

  test('shows how a failure climbs, who was restarted, and the order of the stop', async () => {
    const { stdout } = await wholeTour()
    expect(stdout).toMatch(/root catch +resume +catch\n/)
    expect(stdout).toMatch(/ till +open +generation 2\n/)
    const stopped = [...stdout.slice(stdout.indexOf('Everything stops')).matchAll(/^ +(\S+) +stopped$/gm)]
    expect(stopped.map(([, path]) => path)).toEqual([
      'tour/books',
      'tour/clerk',
      'tour/shop/guests/guest:2',
      'tour/shop/guests',
      'tour/shop/till',
      'tour/shop',
      'tour/files/hash',
      'tour/files/unpack',
      'tour/files/count',
      'tour/files/compress',
      'tour/files',
      'tour',
    ])
  })

  test('prints plain lines where the output is no terminal', async () => {
    const { stdout } = await wholeTour()
    expect(stdout).not.toContain('\u001b')
  })

  test.for([
    ['in a retry', /retrying/],
    ['between two acts', /by the plugin/],
    ['in a restart', /failed +somebody paid/],
    ['in a job with progress', /progress +20 %/],
    ['while it draws the tree', /└─ guest:2/],
  ] as const)('ends with the summary when it is interrupted %s', async ([, pattern]) => {
    let isInterrupted = false
    const { code, stdout, stderr } = await takeTour((line, interrupt) => {
      if (isInterrupted || !pattern.test(line)) return
      isInterrupted = true
      interrupt()
    })
    expect(isInterrupted).toBe(true)
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(headingsOf(stdout).slice(-2)).toEqual(['Everything stops', 'Summary'])
    const { accepted, ...outcomes } = jobsOf(stdout)
    expect(accepted).toBeGreaterThan(0)
    expect(Object.values(outcomes).reduce((sum, jobs) => sum + jobs)).toBe(accepted)
  })
})
