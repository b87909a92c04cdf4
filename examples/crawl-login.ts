/** A spider signs in, and the cookie it is given goes along with every request after that. */
import { start } from 'rootcatch'
import { request, spider } from 'rootcatch/crawl'
import { website } from 'rootcatch/testing'

await using site = await website()
const account = spider('account', {
  start: [
    request('signed in', `${site.url}/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'user=reader&password=secret',
    }),
  ],
  allowPrivate: ['127.0.0.1'],
})
account.on('signed in', ({ page, request }) => {
  console.log(`after ${page.redirects.length} redirect: ${new URL(page.url).pathname}`)
  return request.follow('profile', '/account', { uniqueKey: 'profile' })
})
account.on('profile', ({ $, emit }) => emit({ user: $('.user').text() }))

await using system = await start(account)
for await (const item of system.run(account)) console.log(item)

// prints:
// after 1 redirect: /account
// { user: 'reader' }
