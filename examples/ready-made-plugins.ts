/** Ready-made plugins write a log, tell a human, and hold jobs back while the bank is down. */
import { resume, start, supervisor, task } from 'rootcatch'
import { circuitBreaker, logging, notify } from 'rootcatch/plugins'

const write = (level: string) => (data: object, message: string) => {
  const { attempt } = data as { attempt: number }
  console.log(`${level}  ${message.replace(/ in [\d.]+m?s/, '')}  (attempt ${attempt})`)
}
const log = { debug: write('debug'), info: write('info '), warn: write('warn '), error: write('error') }

const bank = circuitBreaker('bank', {
  failures: 2,
  reset: '100ms',
  onChange: ({ name, state }) => console.log(`circuit "${name}" is ${state}`),
})

let isDown = true
const charge = task('charge', { plugins: [bank], concurrency: 1 }, async (card: string) => {
  if (isDown) throw new Error(`no answer from https://shop:hunter2@bank.example for card ${card}`)
  return `${card} paid`
})

const system = await start(supervisor('shop', [charge]), {
  catch: () => resume,
  plugins: [logging(log), notify((text) => console.log(`SMS    ${text.replace(/ (?:in|within) [\d.]+m?s/g, '')}`))],
})
await Promise.all([system.run(charge, '1').settled(), system.run(charge, '2').settled()])
const waiting = system.run(charge, '3') // the circuit is open: it waits, and no attempt is spent
isDown = false
console.log(await waiting)
await system.stop()

// prints:
// error  shop/charge/job:1 failed after 1 attempt: no answer from https://shop:[redacted]@bank.example for card 1  (attempt 1)
// SMS    shop/charge/job:1 failed after 1 attempt: no answer from https://shop:[redacted]@bank.example for card 1
// circuit "bank" is open
// error  shop/charge/job:2 failed after 1 attempt: no answer from https://shop:[redacted]@bank.example for card 2  (attempt 1)
// circuit "bank" is half-open
// circuit "bank" is closed
// debug  shop/charge/job:3 done  (attempt 1)
// 3 paid
// SMS    shop/charge/job:2 failed after 1 attempt: no answer from https://shop:[redacted]@bank.example for card 2 (again)
