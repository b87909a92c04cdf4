import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { InputIssue } from '../errors.ts'

export type Checked = StandardSchemaV1.Result<unknown>

export function validate(schema: StandardSchemaV1, input: unknown): Checked | Promise<Checked> {
  return schema['~standard'].validate(input)
}

/** What does not fit, with paths as one would write them: `user.tags[0]`. */
export function issuesOf(checked: Checked): readonly InputIssue[] {
  return (checked.issues ?? []).map(({ path, message }) => ({ path: (path ?? []).reduce<string>(append, ''), message }))
}

function append(path: string, segment: PropertyKey | { readonly key: PropertyKey }): string {
  const key = typeof segment === 'object' ? segment.key : segment
  if (typeof key === 'number') return `${path}[${key}]`
  return path === '' ? String(key) : `${path}.${String(key)}`
}
