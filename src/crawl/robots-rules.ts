/** What a site's robots.txt says to one crawler. */
export interface RobotsRules {
  /** Whether a URL of this site may be fetched. */
  allows(url: string): boolean
  /** Milliseconds between two requests; undefined when it asks for none. */
  readonly crawlDelay: number | undefined
  readonly sitemaps: readonly string[]
}

/** More than this is not read; every crawler has such a limit, and the standard asks for no more. */
const MOST_BYTES = 512 * 1024
const MOST_SITEMAPS = 1000

/** A longer delay is no manners but a way to stop a crawl: it is taken for this one. */
const MOST_DELAY = 30_000

interface Rule {
  readonly allow: boolean
  /** What stands between the `*`. */
  readonly parts: readonly string[]
  readonly toEnd: boolean
  readonly length: number
}

/** Allows everything: there is no robots.txt. */
export const allowAll: RobotsRules = Object.freeze({ allows: () => true, crawlDelay: undefined, sitemaps: [] })

/**
 * Reads a robots.txt for a crawler of that name. The groups that name it count together, else those for everybody. Only
 * their rules are kept, so that a file of many agents and many rules costs no more than its size.
 */
export function parseRobots(text: string, agent: string): RobotsRules {
  const own = new Group()
  const everybody = new Group()
  const sitemaps: string[] = []
  const name = productOf(agent)
  let groups = new Set<Group>()
  let isNaming = false

  for (const line of text.slice(0, MOST_BYTES).split(/\r\n|\r|\n/)) {
    const [key, value] = readLine(line)
    if (key === 'user-agent') {
      if (!isNaming) groups = new Set()
      if (value === '*') groups.add(everybody)
      else if (productOf(value) === name) groups.add(own)
      isNaming = true
    } else if (key === 'sitemap') {
      if (value !== '' && sitemaps.length < MOST_SITEMAPS) sitemaps.push(value)
    } else if (key !== '') {
      for (const group of groups) group.add(key, value)
      isNaming = false
    }
    if (key === 'user-agent') for (const group of groups) group.isNamed = true
  }
  const { rules, crawlDelay } = own.isNamed ? own : everybody
  rules.sort((a, b) => b.length - a.length || Number(b.allow) - Number(a.allow))
  return Object.freeze({
    allows: (url: string) => {
      const path = pathOf(url)
      return path === '/robots.txt' || (rules.find((rule) => matches(rule, path))?.allow ?? true)
    },
    crawlDelay,
    sitemaps,
  })
}

/** What one group of agents is told. */
class Group {
  readonly rules: Rule[] = []
  crawlDelay: number | undefined
  isNamed = false

  add(key: string, value: string): void {
    if ((key === 'allow' || key === 'disallow') && value !== '') this.rules.push(readRule(key === 'allow', value))
    if (key === 'crawl-delay' && /^\d{1,9}(?:\.\d{1,9})?$/.test(value)) {
      this.crawlDelay = Math.min(Number(value) * 1000, MOST_DELAY)
    }
  }
}

function readLine(line: string): readonly [key: string, value: string] {
  const text = line.replace(/^\ufeff/, '').split('#', 1)[0] ?? ''
  const colon = text.indexOf(':')
  return colon === -1 ? ['', ''] : [text.slice(0, colon).trim().toLowerCase(), text.slice(colon + 1).trim()]
}

/** `Googlebot/2.1 (+http://…)` is the crawler `googlebot`. */
function productOf(agent: string): string {
  return (agent.split(/[/\s]/, 1)[0] ?? '').toLowerCase()
}

function readRule(allow: boolean, pattern: string): Rule {
  const toEnd = pattern.endsWith('$')
  const path = normalize(toEnd ? pattern.slice(0, -1) : pattern)
  return { allow, parts: path.split(/\*+/), toEnd, length: path.length + (toEnd ? 1 : 0) }
}

/** Looks for the parts one after the other, each as early as it can stand: linear, whatever was written. */
function matches({ parts, toEnd }: Rule, path: string): boolean {
  const [first = '', ...rest] = parts
  if (!path.startsWith(first)) return false
  const last = toEnd ? rest.pop() : undefined
  let at = first.length
  for (const part of rest) {
    const found = path.indexOf(part, at)
    if (found === -1) return false
    at = found + part.length
  }
  if (!toEnd) return true
  return last === undefined ? at === path.length : path.length - last.length >= at && path.endsWith(last)
}

function pathOf(url: string): string {
  const { pathname, search } = new URL(url)
  return normalize(`${pathname}${search}`)
}

/** One spelling for each path: escapes in capitals, none for what needs none, all for what is not ASCII. */
function normalize(path: string): string {
  const escaped = path.replaceAll(/[^\u0020-\u007e]+/g, escapeText)
  return escaped.replaceAll(/%[\da-f]{2}/gi, (escape) => {
    const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16))
    return /[\w.~-]/.test(character) ? character : escape.toUpperCase()
  })
}

function escapeText(text: string): string {
  return Buffer.from(text).reduce((all, byte) => `${all}%${byte.toString(16).toUpperCase().padStart(2, '0')}`, '')
}
