/**
 * How jobs go that only wait for their turn, are taken and done: with no delay, lane or key, in a queue without limits.
 * It writes what the engine's scripts would, with a quarter of the commands, and leaves all else to them
 * (docs/decisions/032-a-short-way-for-plain-jobs.md).
 */
export const SHORT = `
-- Coming in

function F.readJob()
  local first = at
  at = first + 12 + tonumber(ARGV[first + 12])
  local job = { q = F.Q(ARGV[first + 1]), id = ARGV[first + 2], eid = ARGV[first + 3], isNew = ARGV[first + 4] == '1',
    name = ARGV[first + 5], data = ARGV[first + 6], priority = tonumber(ARGV[first + 7]), delay = tonumber(ARGV[first + 8]),
    from = first + 13, to = at }
  local lane, key, time = ARGV[first + 9], ARGV[first + 10], ARGV[first + 11]
  if lane ~= '' then job.lane = string.sub(lane, 2) end
  if key ~= '' then job.key = string.sub(key, 2) end
  if time ~= '' then job.time = time == 'inf' and time or tonumber(time) end
  job.isPlain = IS_SHORT and job.isNew and job.delay == 0 and not job.lane and not job.key
  return job
end

-- Jobs of one queue, in their order.
function F.addPlain(q, jobs)
  local count, events, written = #jobs, q.p .. 'events', {}
  local turn = rcall('INCRBY', q.p .. 'pc', count)
  if turn <= HALF then
    F.know(q)
    turn = rcall('INCRBY', q.p .. 'pc', HALF)
  end
  turn = turn - count
  local ready = {}
  for index, job in ipairs(jobs) do
    local eid, priority = job.eid, job.priority
    written[priority] = written[priority] or '{"priority":' .. priority .. ',"attempts":2147483647}'
    rcall('HSET', q.p .. eid, 'name', job.name, 'data', job.data, 'opts', written[priority], 'timestamp', ARGV[3], 'delay',
      '0', 'priority', priority, '~v', '1', unpack(ARGV, job.from, job.to))
    rcall('XADD', events, '*', 'event', 'added', 'jobId', eid, 'name', job.name)
    rcall('XADD', events, 'MAXLEN', '~', EVENTS, '*', 'event', 'waiting', 'jobId', eid)
    ready[#ready + 1] = priority * 4294967296 + (turn + index) % 4294967296
    ready[#ready + 1] = eid
    if #ready == 1000 or index == count then
      rcall('ZADD', q.p .. 'prioritized', unpack(ready))
      ready = {}
    end
  end
  q.isReady = q.isReady + count
end

function F.addThosePlain()
  for _, q in pairs(queues) do
    local jobs = q.plain
    q.plain = false
    if jobs then F.addPlain(q, jobs) end
  end
end

function F.enqueueAll()
  local answers = {}
  for index = 1, F.num() do
    local jobs, answer, arePlain = {}, {}, true
    for nth = 1, F.num() do
      local job = F.readJob()
      jobs[nth], answer[2 * nth - 1], answer[2 * nth] = job, job.id, ''
      arePlain = arePlain and job.isPlain
    end
    if arePlain then
      for _, job in ipairs(jobs) do
        job.q.plain = job.q.plain or {}
        table.insert(job.q.plain, job)
      end
      answers[index] = answer
    else
      F.addThosePlain() -- they came before
      local clash = F.clashOf(jobs)
      answers[index] = clash and { '', clash } or F.addAll(jobs)
    end
  end
  F.addThosePlain()
  local taken = F.takeAlong()
  F.wakeForAdded()
  return { answers, taken, F.awake() }
end

-- At most 16 are woken by one step: each of those wakes another one if it finds more than it can take.
function F.wakeForAdded()
  for _, q in pairs(queues) do
    if q.isReady > 0 then F.wake(q, math.min(q.isReady, 16)) end
  end
end

-- Taking

-- Nothing, if the queue has limits, or anything but jobs that wait for their turn.
function F.takePlain(q, limit, token)
  if not IS_SHORT then return nil end
  local p = q.p
  local meta = rcall('HMGET', p .. 'meta', 'paused', 'concurrency', 'max')
  q.limit = meta[2]
  if meta[1] or meta[2] or meta[3] then return nil end
  local due = rcall('ZRANGE', p .. 'delayed', 0, 0, 'WITHSCORES')[2]
  if due and math.floor(tonumber(due) / 4096) <= NOW or rcall('LLEN', p .. 'wait') > 0 then return nil end
  local first = rcall('ZPOPMIN', p .. 'prioritized', limit)
  local taken, active, leases, lock, count = {}, {}, {}, SELF .. ':' .. token, #first / 2
  for index = 1, count do
    local eid = first[2 * index - 1]
    local key = p .. eid
    local row, tried = rcall('HGETALL', key), 0
    for place = #row - 1, 1, -2 do
      if row[place] == 'ats' then tried = tonumber(row[place + 1]) end
    end
    rcall('SET', key .. ':lock', lock, 'PX', 2 * LEASE + 5000)
    rcall('XADD', p .. 'events', '*', 'event', 'active', 'jobId', eid, 'prev', 'waiting')
    rcall('HSET', key, 'processedOn', ARGV[3], 'pb', SELF, 'ats', tried + 1)
    taken[index], active[index], leases[2 * index - 1], leases[2 * index] = { eid, row }, eid, NOW + LEASE, eid
  end
  if count > 0 then
    rcall('LPUSH', p .. 'active', unpack(active))
    rcall('ZADD', p .. '~leases', unpack(leases))
  end
  q.taken = q.taken + count
  return taken, due and string.format('%.0f', tonumber(due) / 4096) or ''
end

-- Whoever found too little is told of more.
function F.noteIdle(q, isIdle, hasMore)
  local idle = q.p .. '~idle'
  if isIdle then
    rcall('SADD', idle, SELF)
  elseif rcall('SCARD', idle) > 0 then
    rcall('SREM', idle, SELF)
    if hasMore() then F.wake(q, 1) end
  end
end

-- Leases that ran out are looked for where nothing else is at hand, and by those who ask for jobs and for nothing besides.
function F.take(q, limit, token, isAlong)
  if not isAlong and F.hasExpired(q) then return F.takeAny(q, limit, token, {}) end
  local taken, due = F.takePlain(q, limit, token)
  if not taken then return F.takeAny(q, limit, token, {}) end
  local isDry = #taken < limit
  if isDry and F.hasExpired(q) then return F.takeAny(q, limit, token, taken) end
  F.noteIdle(q, isDry, function() return rcall('ZCARD', q.p .. 'prioritized') > 0 end)
  return { q.name, token, taken, '0', due, q.leaseEnd or string.format('%.0f', NOW + LEASE) }
end

function F.hasExpired(q)
  local leaseEnd = rcall('ZRANGE', q.p .. '~leases', 0, 0, 'WITHSCORES')[2]
  q.leaseEnd = leaseEnd and string.format('%.0f', leaseEnd)
  return leaseEnd and tonumber(leaseEnd) <= NOW
end

-- What a call takes along: as one job ends, or is added, another is taken in the same step.
function F.takeAlong()
  local found = {}
  for index = 1, F.num() do
    local q, limit, token = F.Q(F.arg()), F.num(), F.arg()
    found[index] = F.take(q, limit, token, true)
    q.isReady = q.isReady - #found[index][3]
  end
  return found
end

function F.lease()
  local q, limit, token = F.Q(F.arg()), F.num(), F.arg()
  local found = F.take(q, limit, token, false)
  return { found, F.awake() }
end

-- Coming to something

function F.readOutcome()
  local first = at
  local fields = first + 15
  local gone = fields + tonumber(ARGV[fields])
  at = gone + 1 + tonumber(ARGV[gone + 1])
  return { q = F.Q(ARGV[first + 1]), eid = ARGV[first + 2], lock = ARGV[first + 3], isAgain = ARGV[first + 4] == '1',
    id = ARGV[first + 5], processes = ARGV[first + 6], lane = ARGV[first + 7] ~= '' and string.sub(ARGV[first + 7], 2),
    isFollowed = ARGV[first + 8] == '1', tries = tonumber(ARGV[first + 9]), kind = ARGV[first + 10], text = ARGV[first + 11],
    delay = tonumber(ARGV[first + 12]), entry = ARGV[first + 13], isCharged = ARGV[first + 14] == '1',
    from = fields + 1, to = gone, goneFrom = gone + 2, goneTo = at }
end

function F.isPlainEnd(outcome)
  return IS_SHORT and outcome.kind == 'done' and not outcome.lane and not outcome.isFollowed and KEEP_LAST > 0
    and string.sub(outcome.eid, 1, 2) == 'j-' -- one that somebody else put there may have children
end

-- Jobs that end in one millisecond keep their order by a part of it.
function F.endTime(q)
  if not q.ended or q.ended == q.lastEnd then
    q.lastEnd = rcall('INCRBY', q.p .. '~finished', ends)
    q.ended = q.lastEnd - ends
  end
  q.ended = q.ended + 1
  local scale = 2 ^ (51 - math.floor(math.log(NOW + 1) / math.log(2)))
  return string.format('%.17g', NOW + (q.ended % scale) / scale)
end

-- Jobs of one queue that are done, with their places among the answers.
function F.endPlain(q, outcomes, answers)
  local p, locks, free, held, over, times = q.p, {}, {}, {}, {}, {}
  for index, outcome in ipairs(outcomes) do locks[index] = p .. outcome.eid .. ':lock' end
  for index, lock in ipairs(rcall('MGET', unpack(locks))) do
    local outcome = outcomes[index]
    if lock == outcome.lock and not held[outcome.eid] then
      held[outcome.eid] = true
      free[#free + 1], over[#over + 1] = locks[index], outcome
    else
      answers[outcome.index] = F.wasHeard(outcome) and '1' or ''
    end
  end
  if #over == 0 then return end
  rcall('DEL', unpack(free)) -- first: in a Redis that is full this is taken, and so is what follows
  local eids = {}
  for _, outcome in ipairs(over) do
    local eid = outcome.eid
    if rcall('LREM', p .. 'active', -1, eid) == 0 then
      answers[outcome.index] = ''
    else
      local time = F.endTime(q)
      answers[outcome.index] = '1'
      times[#times + 1], times[#times + 2], eids[#eids + 1] = time, eid, eid
      rcall('HSET', p .. eid, 'atm', outcome.tries + 1, 'returnvalue', outcome.text, 'finishedOn', time,
        unpack(ARGV, outcome.from, outcome.to))
      rcall('XADD', p .. 'events', 'MAXLEN', '~', EVENTS, '*', 'event', 'completed', 'jobId', eid, 'returnvalue',
        outcome.text, 'prev', 'active')
      if outcome.processes ~= SELF then F.tellEnd(outcome.processes, outcome.id, false) end
    end
  end
  if #eids == 0 then return end
  rcall('ZREM', p .. '~leases', unpack(eids))
  rcall('ZADD', p .. 'completed', unpack(times))
  F.dropOldest(q)
  if METRICS ~= '' then F.count(q, #eids) end
  q.freed = #eids
end

-- Who waits for a job in another process is told that it is over.
function F.tellEnd(processes, id, isUnasked)
  for process in string.gmatch(processes, '%S+') do
    if process ~= SELF or isUnasked then F.tell(process, 's' .. id) end
  end
end

function F.dropOldest(q)
  local set = q.p .. 'completed'
  local tooMany = rcall('ZCARD', set) - KEEP_LAST
  if tooMany > 0 then
    local oldest = rcall('ZPOPMIN', set, tooMany)
    for index = 1, #oldest, 2 do F.drop(q, oldest[index]) end
  end
  local before = NOW - KEEP_AGE * 1000
  local oldest = rcall('ZRANGE', set, 0, 0, 'WITHSCORES')[2]
  if not oldest or tonumber(oldest) > before then return end
  for _, eid in ipairs(rcall('ZRANGEBYSCORE', set, '-inf', before, 'LIMIT', 0, 1000)) do
    rcall('ZREM', set, eid)
    F.drop(q, eid)
  end
end

function F.drop(q, eid)
  local key = q.p .. eid
  rcall('DEL', key, key .. ':logs', key .. ':dependencies', key .. ':processed', key .. ':failed', key .. ':unsuccessful')
end

-- The engine's metrics: a point per minute, with what ended in it.
function F.count(q, jobs)
  local key = q.p .. 'metrics:completed'
  local count = rcall('HINCRBY', key, 'count', jobs) - jobs
  local since = rcall('HGET', key, 'prevTS')
  if not since then
    rcall('HSET', key, 'prevTS', ARGV[3], 'prevCount', 0)
    return
  end
  local minutes = math.min(math.floor(NOW / 60000) - math.floor(since / 60000), tonumber(METRICS))
  if minutes <= 0 then return end
  local points = { count - rcall('HGET', key, 'prevCount') }
  for index = 2, minutes do points[index] = 0 end
  for first = 1, minutes, 1000 do rcall('LPUSH', key .. ':data', unpack(points, first, math.min(first + 999, minutes))) end
  rcall('LTRIM', key .. ':data', 0, METRICS - 1)
  rcall('HSET', key, 'prevCount', count, 'prevTS', ARGV[3])
end

-- Jobs of it have ended, and others were taken.
function F.closeEnd(q)
  local p = q.p
  if q.freed > 0 then
    if q.limit == nil then q.limit = rcall('HGET', p .. 'meta', 'concurrency') end
    if q.limit then F.wake(q, q.freed) end
  end
  if q.taken > 0 or rcall('LLEN', p .. 'active') > 0 or rcall('LLEN', p .. 'wait') > 0
    or rcall('ZCARD', p .. 'prioritized') > 0 then
    return
  end
  rcall('XADD', p .. 'events', '*', 'event', 'drained')
end

function F.settleAll()
  local answers, others, ending = {}, {}, {}
  ends = F.num()
  isShared = true
  for index = 1, ends do
    local outcome = F.readOutcome()
    outcome.index = index
    at = at + 1
    if ARGV[at] == '1' then outcome.escalation = F.readJob() end
    if F.isPlainEnd(outcome) then
      local q = outcome.q
      if not q.ending then
        q.ending = {}
        ending[#ending + 1] = q
      end
      table.insert(q.ending, outcome)
    else
      others[#others + 1] = outcome
    end
  end
  for _, q in ipairs(ending) do F.endPlain(q, q.ending, answers) end
  if #others > 0 then F.settleOthers(others, answers) end
  local taken = F.takeAlong()
  for _, q in ipairs(ending) do F.closeEnd(q) end
  F.wakeForAdded()
  return { answers, taken, F.awake() }
end
`
