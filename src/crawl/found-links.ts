/** What links are made of, as they stand on a page: in its order, doubles and all. */
export interface FoundLinks {
  /** `href` of each `a` that has one. */
  readonly hrefs: readonly string[]
  /** `href` of the first `base` that has one. */
  readonly base: string | undefined
}

/** Finds the links of a page without making a document of it; undefined where only the document can tell. */
export type FindLinks = (html: string) => FoundLinks | undefined
