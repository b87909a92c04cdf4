import '../node-version.ts'

// Everything grammY has
export * from 'grammy'

// Ours in place of grammY's
export { Bot, type BotStartOptions, type JobFlavor } from './bot.ts'
export type { BotOptions, Lane, PollingOptions } from './bot-options.ts'
export { Composer } from './composer.ts'

// Errors
export { rootCause } from './bot-error.ts'
