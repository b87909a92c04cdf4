/** For walks over the repository's own files: what the peers of the benches installed is not ours to judge. */
export const withoutPackages: { readonly exclude: readonly string[] } = { exclude: ['**/node_modules'] }
