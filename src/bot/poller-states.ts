import type { Api } from 'grammy'
import type { Update, UserFromGetMe } from 'grammy/types'
import { pollerMachine, type PollerContext, type PollerEvent } from '../../machines/poller.ts'
import { toChartLogic } from '../actors/chart.ts'
import type { Effect } from '../actors/effect.ts'
import { delayOf } from '../retry.ts'
import { StalledError } from './errors.ts'
import { HeldOffset } from './held-offset.ts'
import { isConflict, isFatal, isRefusal, judgeConnecting, judgePolling } from './poll-verdict.ts'
import type { PollerSetup } from './poller-setup.ts'
import { atMost, inTime, sleep } from './waiting.ts'

type Send = (event: PollerEvent) => void
type Signal = Parameters<Api['getMe']>[0]

const MOST_STALLS = 3
const MOST_CONFLICTS = 4

/** What Telegram sends to a bot that did not say what it wants; the rest comes by name only. */
const BY_NAME_ONLY: ReadonlySet<string> = new Set(['chat_member', 'message_reaction', 'message_reaction_count'])

/** A batch came and could not be kept: nothing of it is confirmed, so it comes again. */
class NotKept {
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}

/** What the states of one poller rest on. */
export class PollerStates {
  lastPollAt: number | undefined
  readonly #setup: PollerSetup
  readonly #offset: HeldOffset
  readonly #random: () => number
  /** Sent with the first poll of a connection; Telegram remembers it. */
  #kinds: readonly string[] | undefined
  /** What was told to Telegram by a poll that was answered. */
  #confirmed = 1
  #keeping: Promise<void> = Promise.resolve()
  #failures = 0
  #refusals = 0
  #conflicts = 0
  #stalls = 0

  constructor(setup: PollerSetup) {
    this.#setup = setup
    this.#random = setup.random ?? Math.random
    this.#offset = new HeldOffset(setup.inbox, setup.clock, setup.options.limit, (count) =>
      setup.emit('update.released', { path: setup.path, count }),
    )
  }

  /** How long a call may take before it counts as stalled. */
  get #patience(): number {
    const { timeout, stall } = this.#setup.options
    return timeout * 1_000 + stall
  }

  logic(): ReturnType<typeof toChartLogic> {
    const effect =
      (
        run: (context: PollerContext, send: Send, signal: AbortSignal) => Promise<void>,
      ): Effect<PollerContext, PollerEvent> =>
      (context, stay) => {
        const controller = new AbortController()
        const { signal } = controller
        const sendOwn: Send = (event) => {
          if (!signal.aborted) stay.send(event)
        }
        run(context, sendOwn, signal).catch((error: unknown) => sendOwn({ type: 'gave up', failure: error }))
        return { end: () => controller.abort() }
      }
    return toChartLogic<PollerContext, PollerEvent>(
      pollerMachine,
      {
        connect: effect((context, send, signal) => this.#connect(context, send, signal)),
        poll: effect((_, send, signal) => this.#poll(send, signal)),
        wait: ({ delay }, stay) => {
          const timer = this.#setup.clock.setTimeout(() => stay.send({ type: 'wait.over' }), delay)
          return { end: () => this.#setup.clock.clearTimeout(timer) }
        },
        drain: effect((context, send) => this.#drain(context, send)),
      },
      true,
    )
  }

  // Connecting

  async #connect({ isFirst }: PollerContext, send: Send, signal: AbortSignal): Promise<void> {
    const { api, options, path, election } = this.#setup
    const setup = this.#setup
    const persist = <T>(call: (signal: Signal) => Promise<T>): Promise<T> => this.#persist(call, send, signal)
    const asking = setup.me() === undefined ? persist((own) => api.getMe(own)).then((me) => setup.isMe(me)) : undefined
    let isTakenOver = false
    if (election !== undefined) {
      await asking
      if (signal.aborted) return
      await election.won(signal, () => {
        isTakenOver = true
        setup.ready() // what another process brings in may be handled here
      })
      if (signal.aborted) return
    }
    // What waits was meant for the one that polled before.
    const drop_pending_updates = isFirst && !isTakenOver ? options.dropPendingUpdates : undefined
    const settingUp = persist((own) =>
      api.deleteWebhook(drop_pending_updates === undefined ? {} : { drop_pending_updates }, own),
    )
    await Promise.all([asking, settingUp])
    if (signal.aborted) return
    if (isFirst) await options.onStart?.(setup.me() as UserFromGetMe)
    if (signal.aborted) return
    this.#kinds = options.allowedUpdates ?? []
    this.#failures = this.#refusals = this.#stalls = 0
    this.#warnOfUnlisted()
    setup.emit('poller.connected', { path })
    send({ type: 'connected' })
    setup.ready()
  }

  /** Makes a call until it is answered; throws what no wait would change. */
  async #persist<T>(call: (signal: Signal) => Promise<T>, send: Send, signal: AbortSignal): Promise<T> {
    for (let failures = 1; ; failures += 1) {
      try {
        return await this.#inTime(call, this.#patience, signal)
      } catch (error) {
        if (signal.aborted) throw error
        const verdict = judgeConnecting(error, { failures, refusals: 0 }, this.#setup.options.backoff, this.#random)
        if (verdict === 'give up') throw error
        if (!verdict.isFailure) failures -= 1
        this.#retrying(error, verdict.wait)
        send({ type: 'call.failed', delay: verdict.wait, isFailure: verdict.isFailure })
        await sleep(this.#setup.clock, verdict.wait, signal)
        signal.throwIfAborted()
      }
    }
  }

  #warnOfUnlisted(): void {
    const { path, emit } = this.#setup
    const { allowedUpdates } = this.#setup.options
    const isListed = (kind: string): boolean =>
      allowedUpdates === undefined || allowedUpdates.length === 0
        ? !BY_NAME_ONLY.has(kind)
        : allowedUpdates.includes(kind)
    const kinds = [...this.#setup.listened()].filter((kind) => !isListed(kind))
    if (kinds.length > 0) emit('poller.unlisted', { path, kinds })
  }

  // Polling

  async #poll(send: Send, signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        await this.#offset.untilDue(signal)
        if (this.#setup.election?.isHeld === false) await this.#setup.election.won(signal)
        if (signal.aborted) return
        const offset = this.#offset.next()
        const updates = await this.#getUpdates(offset, signal)
        if (signal.aborted) return // they come again
        this.#confirmed = offset
        this.#kinds = undefined
        this.#stalls = 0
        await this.#keep(updates)
        this.#failures = this.#refusals = this.#conflicts = 0
        send({ type: 'polled', offset, updates: updates.length })
      }
    } catch (caught) {
      if (!signal.aborted) this.#pollFailed(caught, send)
    }
  }

  async #getUpdates(offset: number, signal: AbortSignal): Promise<readonly Update[]> {
    const { api, options } = this.#setup
    const payload = {
      offset,
      timeout: this.#offset.isHeld ? 0 : options.timeout,
      ...(options.limit === undefined ? {} : { limit: options.limit }),
      ...(this.#kinds === undefined ? {} : { allowed_updates: this.#kinds as never }),
    }
    const updates: unknown = await this.#inTime((own) => api.getUpdates(payload, own), this.#patience, signal)
    this.lastPollAt = this.#setup.clock.now()
    if (!Array.isArray(updates)) throw new TypeError(`getUpdates was answered with ${typeof updates}, not with a list`)
    return updates as readonly Update[]
  }

  async #keep(updates: readonly Update[]): Promise<void> {
    this.#keeping = this.#setup.inbox.admit(updates)
    try {
      await this.#keeping
    } catch (error) {
      throw new NotKept(error)
    }
    this.#offset.saw(updates)
  }

  #pollFailed(caught: unknown, send: Send): void {
    const error = caught instanceof NotKept ? caught.error : caught
    this.#failures += 1
    this.#refusals = caught instanceof NotKept || isRefusal(error) ? this.#refusals + 1 : 0
    this.#stalls = caught instanceof StalledError ? this.#stalls + 1 : 0
    if (this.#stalls >= MOST_STALLS) return send({ type: 'stalled out' })
    const { backoff } = this.#setup.options
    if (this.#setup.election !== undefined && isConflict(error)) this.#conflicts += 1
    // The one that polled before may have a call open still; one that goes on polling is none of these processes.
    const isPassing = this.#conflicts > 0 && this.#conflicts < MOST_CONFLICTS && isConflict(error)
    const streak = { failures: this.#failures, refusals: this.#refusals }
    const verdict = isPassing
      ? { wait: delayOf(backoff, this.#conflicts, this.#random), isFailure: true }
      : judgePolling(error, streak, backoff, this.#random)
    if (verdict === 'give up') return send({ type: 'gave up', failure: error })
    if (!verdict.isFailure) this.#failures -= 1
    this.#retrying(error, verdict.wait)
    send({ type: 'call.failed', delay: verdict.wait, isFailure: verdict.isFailure })
  }

  // Draining

  async #drain({ drain, failure }: PollerContext, send: Send): Promise<void> {
    const { inbox, shutdown, clock, emit, path } = this.#setup
    const within = drain ?? shutdown
    await atMost(clock, within, this.#keeping)
    try {
      await inbox.drain(within)
    } catch (error) {
      emit('poller.unconfirmed', { path, offset: inbox.confirmable() ?? 0, error })
    }
    const { election } = this.#setup
    const isTold = (failure === null || !isFatal(failure.of)) && election?.isHeld !== false
    if (isTold) await this.#confirm()
    await election?.release().catch(() => {}) // it is free when its time is over
    send({ type: 'drained' })
  }

  /** The one call that tells Telegram what is finished; what it brings is not looked at and comes again. */
  async #confirm(): Promise<void> {
    const { api, inbox, options, emit, path } = this.#setup
    const offset = inbox.confirmable()
    if (offset === undefined || offset <= this.#confirmed) return
    try {
      await this.#inTime((own) => api.getUpdates({ offset, limit: 1 }, own), options.stall)
    } catch (error) {
      emit('poller.unconfirmed', { path, offset, error })
    }
  }

  #inTime<T>(call: (signal: Signal) => Promise<T>, ms: number, signal?: AbortSignal): Promise<T> {
    const { clock, path, options, emit } = this.#setup
    const late = (): Error => {
      emit('poller.stalled', { path, after: options.stall })
      return new StalledError(`a call of ${path}/poller`, ms)
    }
    return inTime(clock, ms, (own) => call(own as Signal), signal === undefined ? { late } : { signal, late })
  }

  #retrying(error: unknown, delay: number): void {
    this.#setup.emit('poller.retrying', { path: this.#setup.path, delay, error })
  }
}
