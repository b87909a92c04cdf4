import '../node-version.ts'

// Everything grammY has
export * from 'grammy'

// Ours in place of grammY's
export { Bot, type BotStartOptions, type BotStopOptions, type JobFlavor } from './bot.ts'
export type { BotOptions, Lane } from './bot-options.ts'
export type { PollingOptions } from './polling-options.ts'
export { Composer } from './composer.ts'
export { InputFile } from './input-file.ts'
export { webhookCallback, type WebhookOptions } from './webhook.ts'

// Errors
export { rootCause } from './bot-error.ts'
export { AnswerError, StalledError } from './errors.ts'
