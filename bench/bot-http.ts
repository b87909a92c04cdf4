/** CPU per call of the Bot API, 50 at once: grammY's own client against ours, turn by turn, the server elsewhere. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Api } from 'grammy'
import { botHttp } from '../src/bot/http.ts'

const isSmoke = process.argv.includes('--smoke')
const CALLS = isSmoke ? 2_000 : 10_000
const ROUNDS = isSmoke ? 3 : 7
const AT_ONCE = 50
const ALLOWED_RATIO = 0.5

if (process.argv.includes('--server')) await serve()
else await compare()

async function compare(): Promise<void> {
  const server = fork(import.meta.filename, ['--server'], { execArgv: [] })
  const [port] = (await once(server, 'message')) as [number]
  const apiRoot = `http://127.0.0.1:${port}`
  const clock = { now: Date.now, setTimeout, clearTimeout: clearTimeout as (timer: unknown) => void }
  const http = botHttp('bot "bench"', { apiRoot }, () => clock)
  const contenders = { grammY: new Api('1:a', { apiRoot }), ours: new Api('1:a', http.client) }
  for (const api of Object.values(contenders)) await measure(api) // warm-up

  const ratios: number[] = []
  for (let round = 1; round <= ROUNDS; round += 1) {
    const grammY = await measure(contenders.grammY)
    const ours = await measure(contenders.ours)
    ratios.push(ours.cpu / grammY.cpu)
    const line = `grammY ${grammY.cpu.toFixed(0)} µs, ${grammY.rate}/s; ours ${ours.cpu.toFixed(0)} µs, ${ours.rate}/s`
    console.log(`round ${round}: ${line}; ratio ${(ours.cpu / grammY.cpu).toFixed(2)}`)
  }
  const median = ratios.toSorted((a, b) => a - b)[ROUNDS >> 1] as number
  console.log(`a call of ours costs ${median.toFixed(2)} of one of grammY's, allowed ${ALLOWED_RATIO}`)
  await http.close()
  server.kill()
  if (median > ALLOWED_RATIO && !isSmoke) process.exitCode = 1 // in short it says nothing about speed
}

/** Microseconds of CPU per call in this process, and calls per second. */
async function measure(api: Api): Promise<{ readonly cpu: number; readonly rate: number }> {
  const before = process.cpuUsage()
  const from = performance.now()
  let left = CALLS
  const caller = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      await api.sendMessage(1, 'hello')
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, caller))
  const { user, system } = process.cpuUsage(before)
  return { cpu: (user + system) / CALLS, rate: Math.round((CALLS * 1_000) / (performance.now() - from)) }
}

async function serve(): Promise<void> {
  const answer = JSON.stringify({ ok: true, result: { message_id: 1, date: 1, chat: { id: 1 }, text: 'hello' } })
  const server = createServer((request, response) => {
    request.resume().once('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end(answer))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  process.send?.((server.address() as AddressInfo).port)
  process.once('disconnect', () => process.exit())
}
