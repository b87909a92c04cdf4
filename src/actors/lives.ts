import { PluginError } from '../errors.ts'
import { HOOK_TIMEOUT, type LifeEvent, type Plugin, type PluginSystem } from '../plugin.ts'
import { callHook, isThenable, reportPlugin } from './call-hook.ts'
import { inOrder } from './hook-table.ts'
import type { Tree } from './tree.ts'

type Later = Promise<void> | undefined

/** Sets up the plugins of one owner and tears them down again, once for each of its lives. */
export class Lives {
  readonly #tree: Tree
  readonly #path: string
  readonly #plugins: readonly Plugin[]
  readonly #timeout: number
  /** Those whose `setup` is over, or that have none. */
  readonly #isUp = new Set<Plugin>()

  constructor(tree: Tree, path: string, plugins: readonly Plugin[], timeout: number = HOOK_TIMEOUT) {
    this.#tree = tree
    this.#path = path
    this.#plugins = plugins
    this.#timeout = timeout
  }

  /** Undefined if all of them were over at once. Throws, or rejects with, the `PluginError` of the first that threw. */
  setUp(): Later {
    return this.#setUp([...this.#plugins].reverse(), 0)
  }

  /** Undefined if all of them were over at once. What throws is reported. */
  tearDown(): Later {
    const plugins = inOrder('teardown', this.#plugins).filter((plugin) => this.#isUp.has(plugin))
    this.#isUp.clear()
    return this.#tearDown(plugins, 0)
  }

  #setUp(plugins: readonly Plugin[], from: number): Later {
    for (let at = from; at < plugins.length; at += 1) {
      const plugin = plugins[at] as Plugin
      const isUp = (): void => void this.#isUp.add(plugin)
      const threw = (thrown: unknown): never => {
        const consequence = 'It was not started'
        throw new PluginError(plugin.name, 'setup', this.#path || this.#tree.name, thrown, consequence)
      }
      const under = this.#call(() => plugin.hooks.setup?.(this.#event), threw)
      if (under !== undefined) return under.then(isUp).then(() => this.#setUp(plugins, at + 1))
      isUp()
    }
    return undefined
  }

  #tearDown(plugins: readonly Plugin[], from: number): Later {
    for (let at = from; at < plugins.length; at += 1) {
      const plugin = plugins[at] as Plugin
      const threw = (thrown: unknown): void => {
        const consequence = 'What it held may still be open'
        reportPlugin(this.#tree, { path: this.#path }, { plugin, hook: 'teardown', thrown, consequence })
      }
      const under = this.#call(() => plugin.hooks.teardown?.(this.#event), threw)
      if (under !== undefined) return under.then(() => this.#tearDown(plugins, at + 1))
    }
    return undefined
  }

  #call(hook: () => unknown, threw: (thrown: unknown) => void): Later {
    try {
      const result = callHook({ tree: this.#tree, timeout: this.#timeout, origin: undefined }, hook)
      return isThenable(result) ? Promise.resolve(result).then(() => {}, threw) : undefined
    } catch (thrown) {
      threw(thrown)
      return undefined
    }
  }

  get #event(): LifeEvent {
    return { system: this.#tree.system as PluginSystem, path: this.#path }
  }
}

/** Whether any of them has something to do when its owner begins or ends. */
export function haveLives(plugins: readonly Plugin[]): boolean {
  return plugins.some(({ hooks }) => hooks.setup !== undefined || hooks.teardown !== undefined)
}
