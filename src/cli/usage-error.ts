/** The command was used wrongly: exit code 2, and nothing was done. */
export class UsageError extends Error {}
