// The same site by Crawlee's CheerioCrawler, once per line of its input, which says how many pages:
// `node crawlee.js <url> <handling>`.
// Tuned by its options: storage in memory, 50 at once from the first, no sessions, cookies, retries, statistics or logs,
// no headers made up, and a pool that never thinks the machine too busy.
import { createInterface } from 'node:readline'
import { CheerioCrawler, Configuration, LogLevel, log } from '@crawlee/cheerio'
import { MemoryStorage } from '@crawlee/memory-storage'

const [url = '', handling = 'fast'] = process.argv.slice(2)

log.setLevel(LogLevel.OFF)
for await (const line of createInterface({ input: process.stdin })) {
  const pages = Number(line)
  const usedBefore = process.cpuUsage()
  const startedAt = performance.now()
  const done = await crawl(pages)
  const seconds = (performance.now() - startedAt) / 1_000
  const { user, system } = process.cpuUsage(usedBefore)
  if (done !== pages) throw new Error(`Crawlee got ${done} of ${pages} pages`)
  console.log(JSON.stringify({ perSecond: pages / seconds, cpu: (user + system) / pages }))
}
process.exit()

async function crawl(most) {
  let done = 0
  const crawler = new CheerioCrawler(
    {
      minConcurrency: 50,
      maxConcurrency: 50,
      maxRequestsPerCrawl: most,
      maxRequestRetries: 0,
      useSessionPool: false,
      persistCookiesPerSession: false,
      respectRobotsTxtFile: false,
      statisticsOptions: { logIntervalSecs: 1e6, saveErrorSnapshots: false },
      autoscaledPoolOptions: {
        desiredConcurrency: 50,
        loggingIntervalSecs: null,
        maybeRunIntervalSecs: 0.01,
        systemStatusOptions: {
          maxMemoryOverloadedRatio: 1,
          maxEventLoopOverloadedRatio: 1,
          maxCpuOverloadedRatio: 1,
          maxClientOverloadedRatio: 1,
        },
      },
      preNavigationHooks: [
        (_context, options) => {
          options.useHeaderGenerator = false
          options.http2 = false
        },
      ],
      requestHandler: async ({ $, request, enqueueLinks }) => {
        done += 1
        if (handling === 'links') return void (await enqueueLinks({ strategy: 'all' }))
        if ($('h1').text() === '') throw new Error('no title')
        const urls = $('h3 a')
          .toArray()
          .map((element) => new URL($(element).attr('href'), request.loadedUrl).href)
        await crawler.addRequests(urls)
      },
    },
    new Configuration({
      storageClient: new MemoryStorage({ persistStorage: false, writeMetadata: false }),
      persistStorage: false,
      purgeOnStart: false,
    }),
  )
  await crawler.run([`${url}/page/0`])
  await crawler.teardown().catch(() => {})
  return done
}
