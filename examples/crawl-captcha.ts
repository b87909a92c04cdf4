/** A page that shows a captcha is sent again by hand, and after the last try its fallback has the word. */
import { exponential, start } from 'rootcatch'
import { request, spider } from 'rootcatch/crawl'
import { website } from 'rootcatch/testing'

await using site = await website()
const pages = spider('pages', {
  start: [request('page', `${site.url}/captcha/2`), request('page', `${site.url}/captcha`)],
  taskTryLimit: 4,
  backoff: exponential({ from: '5ms', to: '20ms' }),
  allowPrivate: ['127.0.0.1'],
})
pages.on('page', ({ $, emit, retry, request }) => {
  if ($('.captcha').length > 0) retry() // never returns
  emit({ path: new URL(request.url).pathname, title: $('h1').text(), try: request.taskTryCount })
})
pages.fallback('page', (request) => {
  console.log(`gave up on ${new URL(request.url).pathname} after ${request.taskTryCount} tries`)
})

await using system = await start(pages)
const crawl = system.run(pages)
for await (const page of crawl) console.log(page)
const { counters } = crawl.stats()
console.log(`${counters['retry-task']} times by hand, ${counters['fallback']} fallback`)

// prints:
// { path: '/captcha/2', title: 'You are there', try: 3 }
// gave up on /captcha after 4 tries
// 6 times by hand, 1 fallback
