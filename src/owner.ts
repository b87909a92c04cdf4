import { guarded } from './evidence.ts'

const { readFileSync, readlinkSync } = process.getBuiltinModule('node:fs')

/** A process as a store remembers it: its id alone says little, for ids are given again. */
export interface Owner {
  /** Where the process id means something: machine and, in containers, the namespace. */
  readonly place: string
  readonly pid: number
  /** When the process began. */
  readonly born: string
}

export function thisProcess(): Owner {
  const { pid } = process
  return { place: thisPlace(), pid, born: bornOf(pid) ?? ownBirth() }
}

/** Whether that process has ended, for sure. One of another machine or container may live. */
export function isGone({ place, pid, born }: Owner): boolean {
  if (place !== thisPlace()) return false
  if (pid === process.pid) return born !== (bornOf(pid) ?? ownBirth())
  const found = bornOf(pid)
  if (found !== undefined) return found !== born
  return !exists(pid)
}

const thisPlace = (): string => {
  const namespace = guarded(() => readlinkSync('/proc/self/ns/pid'), '')
  return `${process.getBuiltinModule('node:os').hostname()} ${namespace}`
}

/** Boot and tick at which a process began; undefined where it is not there, or the machine has no /proc. */
function bornOf(pid: number): string | undefined {
  return guarded(() => {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name, in brackets, may hold anything; behind it the state comes first and the start is the 20th field.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? '' : `${boot} ${fields[19]}` // a zombie has ended, only nobody has looked yet
  }, undefined)
}

const ownBirth = (): string => String(Math.round(performance.timeOrigin))

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
