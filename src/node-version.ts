/** The oldest Node.js that every entry runs on, as `engines` in package.json says. */
const floor = { major: 22, minor: 19 }

/**
 * The sentence to throw for a Node.js that is too old, or undefined where the version will do.
 * Takes `process.versions.node`, without a leading v.
 */
export function refuseNodeVersion(found: string): string | undefined {
  const [major = 0, minor = 0] = found.split('.').map(Number)
  if (major > floor.major || (major === floor.major && minor >= floor.minor)) return undefined
  return `rootcatch needs Node.js >=${floor.major}.${floor.minor} (found v${found}).`
}

// First import of every entry: imports are evaluated in order, so this speaks before a dependency breaks on an old Node.
const refusal = refuseNodeVersion(process.versions.node)
if (refusal !== undefined) throw new Error(refusal)
