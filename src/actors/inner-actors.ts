import type { AnyActorRef, Snapshot } from 'xstate'

/** What is read of the snapshot of any logic: of those that have children, a machine lists them. */
export type AnySnapshot = Snapshot<unknown> & {
  readonly children?: Readonly<Record<string, AnyActorRef | undefined>>
}

/** An actor and all below it, as far as they are live. */
export function* activeFrom(ref: AnyActorRef | undefined): Generator<AnyActorRef, undefined> {
  const snapshot = ref?.getSnapshot() as AnySnapshot | undefined
  if (ref === undefined || snapshot?.status !== 'active') return
  yield ref
  for (const child of Object.values(snapshot.children ?? {})) yield* activeFrom(child)
}

/** A machine that failed leaves its children running, timers included (facts of XState 5.33). */
export function stopOrphans(failed: AnyActorRef | undefined): void {
  const snapshot = failed?.getSnapshot() as AnySnapshot | undefined
  if (snapshot?.status !== 'error') return
  for (const orphan of newestFirst(snapshot.children)) {
    stopOrphans(orphan)
    ;(orphan as { _stop?: () => void })._stop?.() // only its parent may stop it by the front door, and that one is over
  }
}

/** By session id, which counts up; the order of keys puts ids that look like numbers first. */
export function newestFirst(children: AnySnapshot['children']): readonly AnyActorRef[] {
  const born = (ref: AnyActorRef): number => Number(ref.sessionId.slice(ref.sessionId.indexOf(':') + 1))
  return Object.values(children ?? {})
    .filter((child) => child !== undefined)
    .sort((a, b) => born(b) - born(a))
}
