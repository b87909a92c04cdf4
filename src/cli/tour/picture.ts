import type { TreeNode } from 'rootcatch'
import { paint, type Style } from '../output.ts'
import type { Act } from './script.ts'
import type { Happening } from './happenings.ts'
import type { Tallies, Tally } from './tally.ts'

/** What the picture of a moment is made of. */
export interface Moment {
  readonly seconds: number
  readonly left: number
  /** What is played; undefined when all is over. */
  readonly act: Act | undefined
  readonly tree: TreeNode
  readonly tallies: Tallies
  /** The newest last. */
  readonly happenings: readonly Happening[]
  readonly rows: number
}

const NAME = 26
const LEAST_HAPPENINGS = 6

/** A moment of the tour, as many lines as there are rows: what is played, the tree, and what happened just now. */
export function drawMoment({ seconds, left, act, tree, tallies, happenings, rows }: Moment): string[] {
  const time = act === undefined ? clock(seconds) : `${clock(seconds)}, ends in ${clock(left)} or by Ctrl-C`
  const played =
    act === undefined ? [] : [`${paint('cyan', '▸')} ${paint('bold', act.title)}`, `  ${paint('dim', act.about)}`, '']
  const head = [`${paint('bold', 'rootcatch tour')}  ${paint('dim', time)}`, '', ...played]
  const branches = drawTree(tree, tallies)
  const room = Math.max(0, rows - head.length - LEAST_HAPPENINGS - 2)
  const shown = branches.length <= room ? branches : [...branches.slice(0, room - 1), paint('dim', '   …')]
  const news = happenings.flatMap(drawHappening).slice(-Math.max(0, rows - head.length - shown.length - 2))
  return [...head, ...shown, '', paint('bold', 'What happened'), ...news].slice(0, rows)
}

const lamps: Readonly<Record<string, Style>> = { running: 'green', starting: 'yellow', restarting: 'yellow' }

function drawTree(node: TreeNode, tallies: Tallies, branch = '', below = ''): string[] {
  const { name, status, state, generation, jobs, children = [], kind } = node
  const lamp = paint(lamps[status] ?? 'dim', status === 'running' ? '●' : '○')
  const life = generation > 1 ? `  started ${generation} times` : ''
  const now =
    jobs === undefined ? [] : [some(jobs.running, 'running', 'cyan'), some(jobs.retrying, 'retrying', 'yellow')]
  const facts = [...now, ...drawTally(tallies.of(node))].filter((fact) => fact !== '').join('  ')
  const own = typeof state === 'string' && state !== status && state !== 'active' ? `  ${state}` : ''
  const title = `${paint('dim', branch)}${lamp} ${name}${' '.repeat(Math.max(1, NAME - branch.length - name.length))}`
  const line = `${title}${paint('dim', status === 'running' && jobs !== undefined ? '' : status + own)}${paint('yellow', life)}${facts}`
  // The parts of a bot and of a spider have no life of their own.
  const kept = kind === 'bot' || kind === 'spider' ? [] : children
  return [line, ...kept.flatMap((child) => drawTree(child, tallies, ...branchesOf(child === kept.at(-1), below)))]
}

function branchesOf(isLast: boolean, below: string): [branch: string, below: string] {
  return [below + (isLast ? '└─ ' : '├─ '), below + (isLast ? '   ' : '│  ')]
}

function drawTally({ done, fallback, failed, cancelled }: Tally): string[] {
  return [
    some(done, 'done', 'green'),
    some(fallback, 'fallback', 'yellow'),
    some(failed, 'failed', 'red'),
    some(cancelled, 'cancelled', 'magenta'),
  ]
}

function some(count: number, word: string, style: Style): string {
  return count === 0 ? '' : paint(style, `${count} ${word}`)
}

const signs: Readonly<Record<Happening['what'], readonly [sign: string, style: Style]>> = {
  done: ['✓', 'green'],
  answered: ['✓', 'green'],
  retrying: ['↻', 'yellow'],
  fallback: ['↳', 'yellow'],
  failed: ['✗', 'red'],
  caught: ['✗', 'red'],
  cancelled: ['■', 'magenta'],
  restarted: ['↻', 'cyan'],
  ended: ['■', 'dim'],
}

/** A line, and one more for who decided what. */
function drawHappening({ who, what, text, trail }: Happening): string[] {
  const [sign, style] = signs[what]
  const line = `${paint(style, `${sign} ${what.padEnd(10)}`)} ${who.padEnd(NAME)} ${text}`
  return trail === undefined ? [line] : [line, paint('dim', `${' '.repeat(13)}decided: ${trail}`)]
}

/** 0:07 */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`
}
