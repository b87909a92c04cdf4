import type { StandardSchemaV1 } from '@standard-schema/spec'
import { InputError, type InputIssue } from '../errors.ts'
import type { Json } from '../payload.ts'
import type { JobPolicy } from './job-policy.ts'

export type Checked = StandardSchemaV1.Result<unknown>

export function validate(schema: StandardSchemaV1, input: unknown): Checked | Promise<Checked> {
  return schema['~standard'].validate(input)
}

/** What a schema makes of a stored input; or that it does not fit any more, or that the schema itself threw. */
export type StoredInput = { readonly parsed: unknown } | { readonly error: unknown; readonly isMisfit: boolean }

export function readStored(task: Pick<JobPolicy, 'name' | 'schema'>, input: Json): StoredInput | Promise<StoredInput> {
  if (task.schema === undefined) return { parsed: input }
  const threw = (error: unknown): StoredInput => ({ error, isMisfit: false })
  const read = (checked: Checked): StoredInput => {
    if (checked.issues === undefined) return { parsed: checked.value }
    return { error: new InputError(task.name, issuesOf(checked), 'The body was not called'), isMisfit: true }
  }
  try {
    const checked = validate(task.schema, input)
    return 'then' in checked ? Promise.resolve(checked).then(read, threw) : read(checked)
  } catch (error) {
    return threw(error)
  }
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
