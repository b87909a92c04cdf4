import type { Update } from 'grammy/types'
import { whenever } from '../actors/answer.ts'
import { runAsNobody } from '../actors/floating.ts'
import { Leases } from '../actors/leases.ts'
import { JOBS_PER_COMMIT } from '../actors/turn.ts'
import type { LeasedJob } from '../brokers/broker.ts'
import { LeaseLostError } from '../errors.ts'
import type { UpdateRun } from './update-run.ts'
import type { Updates } from './updates.ts'

const BROKER_AWAY = 1_000

/**
 * Takes from the broker what waits there for the bot: all updates, where it is durable; where not, replays.
 *
 * It wakes, asks and keeps leases as a task's worker and a spider's `Taking` do. What is one idea in all three is shared
 * (`Leases`, `whenever`, the turn); what is left differs in who has room, when to ask again, and what a lease becomes, and
 * taking that in by callbacks would be longer than the three.
 */
export class Supply {
  readonly #updates: Updates
  readonly #leases: Leases<{ readonly id: string; readonly lease: LeasedJob; readonly run: UpdateRun }>
  #isOpen = false
  #isDue = false
  #leasing: 'no' | 'asked' | 'again' = 'no'
  #unwatch: (() => void) | undefined

  constructor(updates: Updates) {
    this.#updates = updates
    this.#leases = new Leases(
      updates.tree,
      () =>
        [...updates.kept.values()]
          .filter((run) => !run.isParked)
          .map((run) => ({ id: run.lease.id, lease: run.lease, run })),
      ({ run }) => this.#lost(run),
    )
  }

  open(): void {
    if (this.#isOpen) return
    const { tree, path } = this.#updates
    this.#isOpen = true
    this.#updates.onRoom = () => this.#wake()
    this.#unwatch = tree.broker.watch(path, () => this.#wake())
    this.#wake()
  }

  close(): void {
    this.#isOpen = false
    this.#unwatch?.()
  }

  /** The leases of what still runs are kept until then. */
  end(): void {
    this.#leases.end()
  }

  #wake(): void {
    if (this.#isDue || !this.#isOpen) return
    this.#isDue = true
    this.#updates.tree.turn.soon(() => {
      this.#isDue = false
      runAsNobody(() => this.#pump())
    })
  }

  #pump(): void {
    if (!this.#isOpen) return
    if (this.#leasing !== 'no') return void (this.#leasing = 'again')
    const { tree, path, lanes } = this.#updates
    const limit = Math.min(lanes.free - lanes.waiting, JOBS_PER_COMMIT)
    if (limit <= 0) return
    this.#leasing = 'asked'
    whenever(
      () => tree.broker.lease(path, limit),
      (leases) => {
        const isMoreDue = leases.length === limit || this.#leasing === 'again'
        this.#leasing = 'no'
        for (const lease of leases) this.#receive(lease)
        if (isMoreDue) this.#wake()
      },
      (error) => {
        this.#leasing = 'no'
        tree.callbackFailed(path, 'broker.lease', error)
        tree.sleep(BROKER_AWAY, () => this.#wake())
      },
    )
  }

  #receive(lease: LeasedJob): void {
    if (!this.#isOpen) return void this.#updates.tree.broker.settle([{ ...lease, kind: 'release' }])
    this.#leases.begin()
    const known = this.#updates.kept.get(lease.id)
    if (known?.isParked === true) return this.#updates.goOn(known, lease)
    if (known !== undefined) this.#lost(known)
    this.#updates.admit(lease.input as unknown as Update, { isKept: true }, lease)
  }

  /** Its lease ran out, and somebody else may have it. */
  #lost(run: UpdateRun): void {
    const { tree } = this.#updates
    run.job?.cancel(new LeaseLostError(run.job.path, tree.broker.leaseTime))
  }
}
