/** What Postgres keeps in no text: the character 0 and halves of a pair. `\u0001` stands before what is written for one. */
// oxlint-disable-next-line no-control-regex -- these are what is looked for
const ODD = /[\u0000\u0001]|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g
// oxlint-disable-next-line no-control-regex -- as above
const WRITTEN = /\u0001([0-9a-f]{4})/g

/** Longer ones do not fit into an index. */
const LONGEST_KEY = 500

/** Any text as one that Postgres keeps, each as another. */
export function toText(text: string): string {
  return text.search(ODD) === -1 ? text : text.replace(ODD, (odd) => `\u0001${codeOf(odd)}`)
}

export function fromText(text: string): string {
  if (!text.includes('\u0001')) return text
  return text.replace(WRITTEN, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
}

/** What a text is found by: itself, or what stands for a long one. */
export function toKey(text: string): string {
  if (text.length <= LONGEST_KEY) return toText(text)
  return `\u0001long ${sha256(JSON.stringify(text)).toString('base64url')}`
}

/** An identifier in a statement. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

export function sha256(text: string): Buffer {
  const { createHash } = process.getBuiltinModule('node:crypto') // not at the import of rootcatch/postgres
  return createHash('sha256').update(text).digest()
}

const codeOf = (odd: string): string => odd.charCodeAt(0).toString(16).padStart(4, '0')
