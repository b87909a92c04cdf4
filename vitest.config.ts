import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

// Packages come as Node takes them by itself: XState's development build warns about each message that is late.
process.env['NODE_ENV'] = 'production'

export default defineConfig({
  resolve: {
    // Tests read the sources under the names that users write; examples, benches and docs run against dist.
    alias: [
      { find: /^rootcatch$/, replacement: here('src/index.ts') },
      { find: /^rootcatch\/inspect$/, replacement: here('src/inspect/index.ts') },
      { find: /^rootcatch\/crawl$/, replacement: here('src/crawl/index.ts') },
      { find: /^rootcatch\/machines$/, replacement: here('machines/index.ts') },
      { find: /^rootcatch\/plugins$/, replacement: here('src/plugins/index.ts') },
      { find: /^rootcatch\/bullmq$/, replacement: here('src/brokers/bullmq.ts') },
      { find: /^rootcatch\/postgres$/, replacement: here('src/brokers/postgres.ts') },
      { find: /^rootcatch\/sqlite$/, replacement: here('src/brokers/sqlite.ts') },
      { find: /^rootcatch\/bot$/, replacement: here('src/bot/index.ts') },
      { find: /^rootcatch\/testing$/, replacement: here('src/testing/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    // What takes one second alone may take ten beside tests of whole processes on a small machine, and more on a slow one.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
    globalSetup: ['test/support/setup.ts'],
    coverage: { provider: 'v8', include: ['src/**/*.ts', 'machines/**/*.ts'] },
  },
})
