import type { Cheerio, CheerioAPI } from 'cheerio'
import { InvalidOptionError } from '../errors.ts'
import { checkKeys } from '../options.ts'
import { SelectorError } from './errors.ts'
import type { PageBase } from './request.ts'

/**
 * Where a field stands: `'h1'` is the text there, `'img@src'` an attribute. With a `?` at its end it may be missing.
 */
export type At = string

/** A field that is made of what stands there. */
export interface FieldSpec {
  readonly at: At
  readonly as: (value: string) => unknown
}

/** One field: a selector, `{ at, as }`, a list of all there are, or of parts with fields of their own. */
export type Field = At | FieldSpec | readonly [At] | readonly [FieldSpec] | readonly [At, Spec]

/** The fields of a page, or of a part of one. */
export interface Spec {
  readonly [name: string]: Field
}

type Text<Where extends At> = Where extends `${string}?` ? string | undefined : string

type Made<F extends FieldSpec> = F['at'] extends `${string}?` ? ReturnType<F['as']> | undefined : ReturnType<F['as']>

/** What a field gives. */
export type FieldValue<F> = F extends At
  ? Text<F>
  : F extends FieldSpec
    ? Made<F>
    : F extends readonly [At, infer Inner extends Spec]
      ? readonly Extracted<Inner>[]
      : F extends readonly [infer One extends FieldSpec]
        ? readonly ReturnType<One['as']>[]
        : readonly string[]

/** What the fields of a spec give. */
export type Extracted<S extends Spec> = { readonly [Name in keyof S]: FieldValue<S[Name]> }

/** Takes the fields of a spec out of a document, or out of a part of it. */
export function extract<const S extends Spec>($: CheerioAPI, spec: S, page: PageBase): Extracted<S> {
  return new Extraction($, page).fieldsOf(spec, undefined, '') as Extracted<S>
}

type Part = Cheerio<never>

class Extraction {
  readonly #$: CheerioAPI
  readonly #page: PageBase

  constructor($: CheerioAPI, page: PageBase) {
    this.#$ = $
    this.#page = page
  }

  fieldsOf(spec: Spec, inside: Part | undefined, path: string): Record<string, unknown> {
    const entries = Object.entries(spec).map(([name, field]) => [name, this.#read(field, inside, `${path}${name}`)])
    return Object.fromEntries(entries) as Record<string, unknown>
  }

  #read(field: Field, inside: Part | undefined, path: string): unknown {
    if (typeof field === 'string') return this.#one(field, inside, path, same)
    if (isList(field)) return this.#all(field, inside, path)
    this.#check(field, path)
    return this.#one(field.at, inside, path, field.as)
  }

  #one(at: At, inside: Part | undefined, path: string, as: (value: string) => unknown): unknown {
    const { selector, attribute, isOptional } = readAt(at)
    const value = this.#valueOf(this.#find(selector, inside).first(), attribute)
    if (value !== undefined) return as(value)
    if (isOptional) return undefined
    throw SelectorError.ofMissing(this.#page.url, at, path)
  }

  #all([where, spec]: readonly [At | FieldSpec, Spec?], inside: Part | undefined, path: string): unknown[] {
    const at = typeof where === 'string' ? where : this.#check(where, path).at
    const { selector, attribute } = readAt(at)
    const parts = this.#find(selector, inside).toArray()
    const as = typeof where === 'string' ? same : where.as
    if (spec !== undefined) {
      return parts.map((part, index) => this.fieldsOf(spec, this.#$(part) as Part, `${path}[${index}].`))
    }
    const values = parts.map((part) => this.#valueOf(this.#$(part) as Part, attribute))
    return values.filter((value) => value !== undefined).map((value) => as(value))
  }

  #find(selector: string, inside: Part | undefined): Part {
    try {
      return (inside === undefined ? this.#$(selector) : selector === '' ? inside : inside.find(selector)) as Part
    } catch (error) {
      throw SelectorError.ofSyntax(this.#page.url, selector, error)
    }
  }

  #valueOf(part: Part, attribute: string | undefined): string | undefined {
    if (part.length === 0) return undefined
    if (attribute === undefined) return part.text().trim().replaceAll(/\s+/g, ' ')
    const value = part.attr(attribute)
    if (value === undefined || !linkAttributes.has(attribute)) return value
    return URL.parse(value, this.#page.base)?.href ?? value
  }

  #check(field: FieldSpec, path: string): FieldSpec {
    const subject = `field ${JSON.stringify(path)} of extract()`
    checkKeys(subject, field, ['at', 'as'])
    if (typeof field.at !== 'string')
      throw new InvalidOptionError(subject, 'at', field.at, `Write a selector, as in 'h1'.`)
    if (typeof field.as !== 'function') throw new InvalidOptionError(subject, 'as', field.as, 'Pass a function.')
    return field
  }
}

/** Attributes that are links: they are given as absolute URLs. */
const linkAttributes: ReadonlySet<string> = new Set(['href', 'src', 'action', 'poster'])

const same = (value: string): unknown => value

function isList(field: Field): field is readonly [At] | readonly [FieldSpec] | readonly [At, Spec] {
  return Array.isArray(field)
}

/** `'img@src?'` is the attribute `src` of an `img`, if there is one. */
function readAt(at: At): {
  readonly selector: string
  readonly attribute: string | undefined
  readonly isOptional: boolean
} {
  const isOptional = at.endsWith('?')
  const text = isOptional ? at.slice(0, -1) : at
  const [, selector = text, attribute] = /^(.*)@([\w:-]+)$/s.exec(text) ?? []
  return { selector: selector.trim(), attribute, isOptional }
}
