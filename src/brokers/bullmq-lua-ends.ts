/** What deliveries come to, and the steps that write it together with what else they gave. */
export const ENDS = `
function F.addToHistory(key, entry, fields)
  if entry == '' then return end
  local past = rcall('HMGET', key, '~hi', '~hn')
  local count = tonumber(past[2] or 0) + 1
  local history = past[1] and past[1] .. '\\n' .. entry or entry
  if count > 100 then
    history = string.sub(history, string.find(history, '\\n', 1, true) + 1)
    count = 100
  end
  for _, field in ipairs({ '~hi', history, '~hn', count }) do fields[#fields + 1] = field end
end

-- They begin with a 'd' if nothing is to be said but that a job is done and with which result.
function F.readOutcome()
  local first = at
  if ARGV[first + 1] == 'd' then
    at = first + 8 + ARGV[first + 8]
    return { q = F.Q(ARGV[first + 2]), eid = 'j-' .. ARGV[first + 3], lock = SELF .. ':' .. ARGV[first + 4], kind = 'done',
      text = ARGV[first + 5], processes = ARGV[first + 7], fields = F.words(first + 9, at), gone = {}, entry = '' }
  end
  local fields = first + 14
  local gone = fields + ARGV[fields] + 1
  at = gone + ARGV[gone]
  local lane = ARGV[first + 7]
  return { q = F.Q(ARGV[first + 2]), eid = ARGV[first + 3], lock = ARGV[first + 4], isAgain = ARGV[first + 5] == '1',
    processes = ARGV[first + 6], lane = lane ~= '' and string.sub(lane, 2), isFollowed = ARGV[first + 8] == '1',
    kind = ARGV[first + 9], text = ARGV[first + 10], delay = tonumber(ARGV[first + 11]), entry = ARGV[first + 12],
    isCharged = ARGV[first + 13] == '1', fields = F.words(fields + 1, gone - 1), gone = F.words(gone + 1, at) }
end

-- One of many, with the job that tells the fleet of it.
function F.readEnd(index)
  local isDone = ARGV[at + 1] == 'd'
  local outcome = F.readOutcome()
  outcome.index = index
  if not isDone and F.arg() == '1' then outcome.escalation = F.readJob() end
  return outcome
end

function F.isHeld(outcome)
  local q, eid = outcome.q, outcome.eid
  return rcall('GET', q.p .. eid .. ':lock') == outcome.lock
end

function F.comeAgain(q, outcome)
  local eid, key = outcome.eid, q.p .. outcome.eid
  local due = NOW + outcome.delay
  local job = rcall('HMGET', key, '~un', '~ln')
  if job[1] then return F.giveUp(q, eid, job[1], outcome.fields, true) end
  outcome.fields[#outcome.fields + 1] = '~due'
  outcome.fields[#outcome.fields + 1] = due
  if #outcome.gone > 0 then rcall('HDEL', key, unpack(outcome.gone)) end
  E.moveToDelayed(
    { q.marker, q.active, q.prioritized, q.delayed, key, q.events, q.meta, q.stalled, q.wait, q.limiter, q.pc },
    { q.p, NOW, eid, outcome.lock, outcome.delay, outcome.isCharged and '0' or '1', cmsgpack.pack(outcome.fields), '0',
      '' })
  rcall('ZREM', q.leases, eid)
  if job[2] then rcall('ZADD', q.inLanes, due, eid) end
  if outcome.delay == 0 or rcall('ZRANGE', q.delayed, 0, 0)[1] == eid then F.wake(q, 1) end
end

-- Of a call that comes again because its answer was lost: whether the first one was heard.
function F.wasHeard(outcome)
  if not outcome.isAgain then return false end
  if outcome.kind == 'release' then return true end
  if outcome.kind ~= 'again' then return F.isOverHere(outcome.q, outcome.eid) end
  return rcall('HGET', outcome.q.p .. outcome.eid, outcome.fields[1]) == outcome.fields[2]
end

function F.isOverHere(q, eid)
  local job = rcall('HMGET', q.p .. eid, 'pb', 'finishedOn')
  return job[1] == SELF and job[2]
end

-- '1' if it was written.
function F.settle(outcome)
  local q, kind = outcome.q, outcome.kind
  if kind == 'done' then
    local answer = F.finish(q, outcome.eid, outcome.lock, 'completed', 'returnvalue', outcome.text, outcome.fields, outcome)
    return (answer >= 0 or F.wasHeard(outcome)) and '1' or ''
  end
  if not F.isHeld(outcome) then return F.wasHeard(outcome) and '1' or '' end
  if kind == 'release' then
    F.putBack(q, outcome.eid)
    return '1'
  end
  F.addToHistory(q.p .. outcome.eid, outcome.entry, outcome.fields)
  if kind == 'again' then
    F.comeAgain(q, outcome)
  else
    F.finish(q, outcome.eid, outcome.lock, 'failed', 'failedReason', outcome.text, outcome.fields, outcome)
  end
  return '1'
end

-- Of those that are done only the latest are kept. Where many are, not each end looks at that.
function F.dropOldest(q)
  local tooMany, gone = rcall('ZCARD', q.completed) - KEEP_LAST, {}
  if tooMany > 0 then
    local oldest = rcall('ZPOPMIN', q.completed, math.min(tooMany, 1000))
    for index = 1, #oldest, 2 do gone[#gone + 1] = oldest[index] end
  end
  local old = rcall('ZRANGEBYSCORE', q.completed, '-inf', NOW - KEEP_AGE * 1000, 'LIMIT', 0, 1000)
  if #old > 0 then rcall('ZREM', q.completed, unpack(old)) end
  for _, eid in ipairs(old) do gone[#gone + 1] = eid end
  local keys = {}
  for index, eid in ipairs(gone) do
    local key = q.p .. eid
    keys[#keys + 1], keys[#keys + 2] = key, key .. ':logs'
    if string.sub(eid, 1, 2) ~= 'j-' then -- somebody else may have put it there, with children
      for _, part in ipairs({ ':dependencies', ':processed', ':failed', ':unsuccessful' }) do keys[#keys + 1] = key .. part end
    end
    if #keys > 1000 or index == #gone then
      rcall('DEL', unpack(keys))
      keys = {}
    end
  end
end

-- The engine's metrics: a point for each minute, of what had ended before it.
function F.addPoints(q, count)
  local key = q.p .. 'metrics:completed'
  local known = rcall('HMGET', key, 'prevTS', 'prevCount')
  if not known[1] then
    rcall('HSET', key, 'prevTS', ARGV[3], 'prevCount', 0)
    return
  end
  local minutes = math.min(math.floor(NOW / 60000) - math.floor(known[1] / 60000), tonumber(METRICS))
  local points = { count - known[2] }
  for index = 2, minutes do points[index] = 0 end
  for first = 1, minutes, 1000 do rcall('LPUSH', key .. ':data', unpack(points, first, math.min(first + 999, minutes))) end
  rcall('LTRIM', key .. ':data', 0, METRICS - 1)
  rcall('HSET', key, 'prevCount', count, 'prevTS', ARGV[3])
end

-- Not without an end: the dead letters are all there besides.
function F.escalate(job)
  if rcall('EXISTS', S .. 'catch') == 0 or rcall('ZCARD', job.q.prioritized) >= 10000 then return end
  F.add(job)
  rcall('PUBLISH', S .. 'all', 'e' .. job.q.name)
end

function F.settleOthers(outcomes, answers)
  F.beginForAll()
  for _, outcome in ipairs(outcomes) do
    local isFirst = outcome.escalation and F.isHeld(outcome)
    answers[outcome.index] = F.settle(outcome)
    if isFirst then F.escalate(outcome.escalation) end
  end
  F.flush()
end

function F.step()
  F.beginForAll()
  local q = F.Q(F.arg())
  local outcome = F.arg() == '1' and F.readOutcome()
  local jobs = F.readJobs()
  local room = F.readRoom(q)
  if outcome and not F.isHeld(outcome) then
    if F.wasHeard(outcome) then return { '1', F.whatBecame(jobs), {} } end
    return { '', {}, {} }
  end
  local clash = F.clashOf(jobs)
  if clash then return { 'clash', { clash }, {} } end
  if outcome then F.settle(outcome) end
  local enqueued = F.addAll(jobs, room)
  if room then rcall('HSET', q.words, room.name, string.format('%.0f', room.count)) end
  for _ = 1, F.num() do
    local name, text = F.arg(), F.arg()
    if text == '' then rcall('HDEL', q.notes, name) else rcall('HSET', q.notes, name, text) end
  end
  F.wakeAdded()
  return { '1', enqueued, F.awake() }
end

function F.extend()
  F.beginForAll()
  local answers = {}
  for index = 1, F.num() do
    local q, eid, lock = F.Q(F.arg()), F.arg(), F.arg()
    answers[2 * index - 1], answers[2 * index] = '', false
    if F.isHeld({ q = q, eid = eid, lock = lock }) then
      answers[2 * index - 1] = '1'
      answers[2 * index] = rcall('HGET', q.p .. eid, '~un')
      rcall('PEXPIRE', q.p .. eid .. ':lock', 2 * LEASE + 5000)
      rcall('ZADD', q.leases, NOW + LEASE, eid)
    end
  end
  return answers
end

-- In a Redis that is full a step is refused, unless it began with a write that needs no memory: what ends jobs begins so.
function F.beginForAll() rcall('DEL', S .. 'nothing') end
`
