import { relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { guarded, oneLine } from './evidence.ts'

/**
 * The frames of a stack as a report shows them: those of the user, with paths from the current folder, and at the end
 * how many were left out: `… 6 frames of Node and rootcatch`. The frames begin after `message`.
 */
export function framesOf(stack: string, message: string): readonly string[] {
  const frames = linesAfter(stack, message).map(readFrame)
  const folded = frames.filter((frame) => frame.owner !== undefined)
  const shown = frames.filter((frame) => frame.owner === undefined).map((frame) => frame.line)
  return folded.length === 0 ? shown : [...shown, sayFolded(folded)]
}

interface Frame {
  readonly line: string
  /** Whose code it is; undefined for the user's. */
  readonly owner: string | undefined
}

const mostFrames = 30
const mostStack = 20_000
const longestFrame = 300

/** This package's own folder: of the sources or of what was built from them. */
const home = fileURLToPath(new URL('.', import.meta.url))
const charts = fileURLToPath(new URL('../machines/', import.meta.url))

function linesAfter(stack: string, message: string): readonly string[] {
  const start = stack.indexOf(message) // a message of many lines may look like frames
  const end = start < 0 ? 0 : start + message.length
  const lines = stack.slice(end, end + mostStack).split('\n')
  return lines.filter((line) => /^\s+at /.test(line)).slice(0, mostFrames)
}

function readFrame(line: string): Frame {
  const text = line.trim().slice(0, longestFrame)
  const location = text.endsWith(')') ? text.slice(text.lastIndexOf('(') + 1, -1) : text.replace(/^at (?:async )?/, '')
  const path = location.startsWith('file:') ? pathOfUrl(location) : location
  const shown = text.replace(location, () => fromHere(path))
  return { line: oneLine(shown, longestFrame), owner: ownerOf(path) }
}

function pathOfUrl(location: string): string {
  const [, url = location, position = ''] = /^(.*?)((?::\d+)*)$/.exec(location) ?? []
  return guarded(() => fileURLToPath(url) + position, location)
}

function ownerOf(path: string): string | undefined {
  if (path.startsWith('node:') || path === '<anonymous>' || path === 'native' || path.startsWith('index '))
    return 'Node'
  if (path.startsWith(home) || path.startsWith(charts)) return 'rootcatch'
  if (path.includes(`${sep}node_modules${sep}piscina${sep}`)) return 'piscina'
  return path.includes(`${sep}node_modules${sep}xstate${sep}`) ? 'XState' : undefined
}

/** A path from the current folder where it is below that, else as it is. */
function fromHere(path: string): string {
  const here = guarded(() => process.cwd(), '') // the current folder may be gone
  return here !== '' && path.startsWith(here + sep) ? relative(here, path) : path
}

function sayFolded(frames: readonly Frame[]): string {
  const owners = ['Node', 'rootcatch', 'piscina', 'XState'].filter((owner) =>
    frames.some((frame) => frame.owner === owner),
  )
  const names = owners.length < 2 ? owners.join('') : `${owners.slice(0, -1).join(', ')} and ${owners.at(-1)}`
  return `… ${frames.length} ${frames.length === 1 ? 'frame' : 'frames'} of ${names}`
}

/** How many frames errors take from now on. */
export function limitStacks(limit: number): void {
  try {
    Error.stackTraceLimit = limit
  } catch {
    // It may be frozen; then there is a stack.
  }
}
