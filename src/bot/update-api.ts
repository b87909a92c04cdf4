import { Api, type Transformer, type WebhookReplyEnvelope } from 'grammy'

type Parts = Pick<Api, 'raw' | 'config'>

/**
 * The `ctx.api` of one update. What it calls with is made when middleware first calls something: grammY makes it for each
 * update at once, and that is half of what an update costs (facts of grammY 1.46).
 */
class UpdateApi {
  readonly options: Api['options']
  readonly #ofBot: Api
  readonly #envelope: WebhookReplyEnvelope | undefined
  /** Those that the bot has now: one that is added later is none of this update's, as in grammY. */
  readonly #transformers: readonly Transformer[]
  #parts: Parts | undefined

  constructor(ofBot: Api, envelope: WebhookReplyEnvelope | undefined) {
    this.options = ofBot.options
    this.#ofBot = ofBot
    this.#envelope = envelope
    this.#transformers = ofBot.config.installedTransformers()
  }

  /** No property of its own: whoever logs a context must not log it. */
  get token(): string {
    return this.#ofBot.token
  }

  get raw(): Parts['raw'] {
    return (this.#parts ?? this.#make()).raw
  }

  get config(): Parts['config'] {
    return (this.#parts ?? this.#make()).config
  }

  #make(): Parts {
    const api = new Api(this.token, this.options, this.#envelope)
    if (this.#transformers.length > 0) api.config.use(...this.#transformers)
    this.#parts = api
    return api
  }
}
Object.setPrototypeOf(UpdateApi.prototype, Api.prototype)
Object.defineProperty(UpdateApi.prototype, 'constructor', { value: Api, writable: true, configurable: true })

/** The api of an update of a bot: a call to it may answer a webhook. */
export function updateApi(ofBot: Api, envelope: WebhookReplyEnvelope | undefined): Api {
  return new UpdateApi(ofBot, envelope) as unknown as Api
}
