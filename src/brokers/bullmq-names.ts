/** What the engine calls a queue: it takes no colon, and a tilde begins the keys that are ours. */
export function engineQueue(path: string): string {
  return path.replace(/[:~%\n]/g, (sign) => `%${sign.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

/** The path of a task by its queue. */
export function pathOfQueue(name: string): string {
  return name.replace(/%([0-9a-f]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
}

/**
 * What the engine calls a job. It refuses ids with a colon and those that are only digits, and gives such numbers itself.
 * Whoever looks at a dashboard should find the job all the same, so an id is hashed only where it is unusual.
 */
export function engineId(id: string): string {
  if (id.startsWith(FOREIGN)) return id.slice(FOREIGN.length)
  if (/^[\w.@#/+=%: -]{1,200}$/.test(id)) return `j-${id.replace(/[%:]/g, encodeURIComponent)}`
  const [, base = '', nth = ''] = /^(.*?)((?:#\d+)?)$/s.exec(id) ?? []
  const { createHash } = process.getBuiltinModule('node:crypto') // an import would load it for ids that are not hashed
  return `h-${createHash('sha256').update(base).digest('base64url')}${nth}`
}

/** The id of a job by what the engine calls it; an unusual one is kept beside it. */
export function idOfEngine(eid: string, kept: string | undefined): string {
  return kept ?? (eid.startsWith('j-') ? eid.slice(2) : FOREIGN + eid)
}

/** Jobs that were put into our queues by other means keep the id they have there. */
const FOREIGN = 'bull:'

/** The engine's keys begin with it. In braces, so that a cluster keeps what belongs together in one place. */
export function hashTag(prefix: string): string {
  return /\{[^}]+\}/.test(prefix) ? prefix : `{${prefix}}`
}
