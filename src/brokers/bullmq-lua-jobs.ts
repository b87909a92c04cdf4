/** How jobs come in, are taken, and come to something. */
export const JOBS = `
local FOREVER = 2147483647

local function readJob()
  local job = { q = Q(arg()), id = arg(), eid = arg(), isNew = arg() == '1', name = arg(), data = arg(),
    priority = num(), delay = num() }
  local lane, key, time = arg(), arg(), arg()
  if lane ~= '' then job.lane = string.sub(lane, 2) end
  if key ~= '' then job.key = string.sub(key, 2) end
  if time == 'inf' then job.time = time elseif time ~= '' then job.time = tonumber(time) end
  job.fields = {}
  for index = 1, num() do job.fields[index] = arg() end
  return job
end

local function readJobs()
  local jobs = {}
  for index = 1, num() do jobs[index] = readJob() end
  return jobs
end

-- Before anything is written: the id of a job that is there already.
local function clashOf(jobs)
  local keys, ids = {}, {}
  for _, job in ipairs(jobs) do
    local held = job.key and job.q.name .. '\\n' .. job.key
    local isDuplicate = held and (keys[held] or holderOf(job.q, job.key))
    if held then keys[held] = true end
    local place = job.q.p .. job.eid
    if not isDuplicate and not job.time and not job.isNew and (ids[place] or rcall('EXISTS', place) == 1) then
      return job.id
    end
    ids[place] = true
  end
end

-- Another number behind an id that an older record still has.
local function freeId(job)
  local id, eid, nth = job.id, job.eid, 1
  while rcall('EXISTS', job.q.p .. eid) == 1 do
    nth = nth + 1
    id, eid = job.id .. '#' .. nth, job.eid .. '#' .. nth
  end
  return id, eid
end

local function follow(q, eid)
  local known = rcall('HMGET', q.p .. eid, '~by', '~fw')
  if known[1] == SELF or string.find(' ' .. (known[2] or '') .. ' ', ' ' .. SELF .. ' ', 1, true) then return end
  rcall('HSET', q.p .. eid, '~fw', (known[2] and known[2] .. ' ' or '') .. SELF)
end

-- Gives the id, and '1' if it is a duplicate.
local function add(job)
  local q = job.q
  know(q)
  if job.key then
    local id, eid = holderOf(q, job.key)
    if id then
      if eid then follow(q, eid) end
      event(q, 'deduplicated', 'jobId', eid or id, 'deduplicationId', job.key, 'deduplicatedJobId', job.eid)
      return id, '1'
    end
  end
  local id, eid = job.id, job.eid
  if job.time then id, eid = freeId(job) end
  local key, due = q.p .. eid, NOW + job.delay
  local opts = { priority = job.priority, attempts = FOREVER }
  local args = { [1] = q.p, [2] = eid, [3] = job.name, [4] = NOW }
  if job.key and not job.time then
    opts.de = { id = job.key }
    args[9] = q.p .. 'de:' .. job.key
  end
  if job.delay > 0 then
    opts.delay = job.delay
    E.addDelayedJob({ q.marker, q.meta, q.id, q.delayed, q.completed, q.events },
      { cmsgpack.pack(args), job.data, cmsgpack.pack(opts) })
    if job.lane then rcall('ZADD', q.inLanes, due, eid) end
    if rcall('ZRANGE', q.delayed, 0, 0)[1] == eid then q.isReady = (q.isReady or 0) + 1 end
  else
    if job.lane then promote(q) end
    E.addPrioritizedJob(
      { q.marker, q.meta, q.id, q.prioritized, q.delayed, q.completed, q.active, q.events, q.pc },
      { cmsgpack.pack(args), job.data, cmsgpack.pack(opts) })
    if job.lane then
      rcall('ZREM', q.prioritized, eid)
      arrive(q, eid, job.lane, due, job.priority)
    end
    q.isReady = (q.isReady or 0) + 1
  end
  local fields = job.fields
  if job.delay > 0 then
    fields[#fields + 1] = '~due'
    fields[#fields + 1] = due
  end
  if job.lane then
    fields[#fields + 1] = '~ln'
    fields[#fields + 1] = job.lane
  end
  if job.key then
    fields[#fields + 1] = '~dk'
    fields[#fields + 1] = job.key
  end
  if job.time then
    fields[#fields + 1] = '~df'
    fields[#fields + 1] = job.time
    holdFor(q, job.key, job.time, id)
  end
  if eid ~= 'j-' .. id then
    fields[#fields + 1] = '~id'
    fields[#fields + 1] = id
  end
  rcall('HSET', key, '~v', '1', unpack(fields))
  return id, ''
end

-- At most 16 are woken by one step: each of those wakes another one if it finds more than it can take.
local function wakeForAdded()
  for _, q in pairs(queues) do
    if q.isReady and q.isReady > 0 then wake(q, math.min(q.isReady, 16)) end
  end
end

local function addAll(jobs)
  local answers = {}
  for index, job in ipairs(jobs) do
    local id, isDuplicate = add(job)
    answers[2 * index - 1], answers[2 * index] = id, isDuplicate
  end
  return answers
end

-- Taking

local function timeOf(first) return first[2] and string.format('%.0f', math.floor(tonumber(first[2]))) or '' end

local function take(q, limit, token)
  local until_ = rcall('ZRANGE', q.leases, 0, 0, 'WITHSCORES')
  if until_[2] and tonumber(until_[2]) <= NOW then
    expire(q)
    until_ = rcall('ZRANGE', q.leases, 0, 0, 'WITHSCORES')
  end
  local due = rcall('ZRANGE', q.delayed, 0, 0, 'WITHSCORES')
  local isDue = due[2] and math.floor(tonumber(due[2]) / 4096) <= NOW
  if isDue then promote(q) end
  -- Not more than there are: asked once more than that, the engine would begin to count its turns anew.
  local count = rcall('ZCARD', q.prioritized) + rcall('LLEN', q.wait)
  if isDue then count = count + rcall('ZCOUNT', q.delayed, 0, (NOW + 1) * 4096 - 1) end
  local taken, wait = {}, 0
  if count > 0 then
    local held = {}
    local keys = { q.wait, q.active, q.prioritized, q.events, q.stalled, q.limiter, q.delayed, q.paused, q.meta, q.pc,
      q.marker }
    local opts = cmsgpack.pack({ token = SELF .. ':' .. token, lockDuration = 2 * LEASE + 5000, name = SELF })
    while #taken < limit and #taken < count do
      local job = E.moveToActive(keys, { q.p, NOW, opts })
      if type(job[1]) ~= 'table' then
        wait = job[3]
        break
      end
      taken[#taken + 1] = { job[2], job[1] }
      held[#held + 1] = NOW + LEASE
      held[#held + 1] = job[2]
    end
    if #held > 0 then rcall('ZADD', q.leases, unpack(held)) end
  end
  if #taken < limit then
    rcall('SADD', q.idle, SELF)
  else
    rcall('SREM', q.idle, SELF)
    if count > #taken and rcall('SCARD', q.idle) > 0 then wake(q, 1) end
  end
  local next = isDue and nextOf(q.delayed, 4096) or due[2] and string.format('%.0f', tonumber(due[2]) / 4096) or ''
  return { q.name, token, taken, tostring(math.ceil(tonumber(wait) or 0)), next,
    until_[2] and timeOf(until_) or string.format('%.0f', NOW + LEASE) }
end

-- What a call takes along: as one job ends, or is added, another is taken in the same step.
local function takeAlong()
  local found = {}
  for index = 1, num() do
    local q, limit, token = Q(arg()), num(), arg()
    found[index] = take(q, limit, token)
    if q.isReady then q.isReady = q.isReady - #found[index][3] end
  end
  return found
end

local function lease()
  local q, limit, token = Q(arg()), num(), arg()
  local found = take(q, limit, token)
  return { found, awake() }
end

-- What deliveries come to

local function addToHistory(key, entry, fields)
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

local function readOutcome()
  local outcome = { q = Q(arg()), eid = arg(), lock = arg(), isAgain = arg() == '1', processes = arg(), lane = arg(),
    isFollowed = arg() == '1', kind = arg(), text = arg(), delay = num(), entry = arg(), isCharged = arg() == '1',
    fields = {}, gone = {} }
  outcome.lane = outcome.lane ~= '' and string.sub(outcome.lane, 2)
  for index = 1, num() do outcome.fields[index] = arg() end
  for index = 1, num() do outcome.gone[index] = arg() end
  return outcome
end

local function isHeld(outcome)
  local q, eid = outcome.q, outcome.eid
  return rcall('GET', q.p .. eid .. ':lock') == outcome.lock
end

local function comeAgain(q, outcome)
  local eid, key = outcome.eid, q.p .. outcome.eid
  local due = NOW + outcome.delay
  local job = rcall('HMGET', key, '~un', '~ln')
  if job[1] then return giveUp(q, eid, job[1], outcome.fields, true) end
  outcome.fields[#outcome.fields + 1] = '~due'
  outcome.fields[#outcome.fields + 1] = due
  if #outcome.gone > 0 then rcall('HDEL', key, unpack(outcome.gone)) end
  E.moveToDelayed(
    { q.marker, q.active, q.prioritized, q.delayed, key, q.events, q.meta, q.stalled, q.wait, q.limiter, q.pc },
    { q.p, NOW, eid, outcome.lock, outcome.delay, outcome.isCharged and '0' or '1', cmsgpack.pack(outcome.fields), '0',
      '' })
  rcall('ZREM', q.leases, eid)
  if job[2] then rcall('ZADD', q.inLanes, due, eid) end
  if outcome.delay == 0 or rcall('ZRANGE', q.delayed, 0, 0)[1] == eid then wake(q, 1) end
end

-- Of a call that comes again because its answer was lost: whether the first one was heard.
local function wasHeard(outcome)
  if not outcome.isAgain then return false end
  if outcome.kind == 'release' then return true end
  local job = rcall('HMGET', outcome.q.p .. outcome.eid, 'pb', 'finishedOn', outcome.fields[1] or '~at')
  if outcome.kind == 'again' then return job[3] == outcome.fields[2] end
  return job[1] == SELF and job[2]
end

-- '1' if it was written.
local function settle(outcome)
  local q, kind = outcome.q, outcome.kind
  if kind == 'done' then
    local answer = finish(q, outcome.eid, outcome.lock, 'completed', 'returnvalue', outcome.text, outcome.fields, outcome)
    return (answer >= 0 or wasHeard(outcome)) and '1' or ''
  end
  if not isHeld(outcome) then return wasHeard(outcome) and '1' or '' end
  if kind == 'release' then
    putBack(q, outcome.eid)
    return '1'
  end
  addToHistory(q.p .. outcome.eid, outcome.entry, outcome.fields)
  if kind == 'again' then
    comeAgain(q, outcome)
  else
    finish(q, outcome.eid, outcome.lock, 'failed', 'failedReason', outcome.text, outcome.fields, outcome)
  end
  return '1'
end

-- Not without an end: the dead letters are all there besides.
local function escalate(job)
  if rcall('EXISTS', S .. 'catch') == 0 or rcall('ZCARD', job.q.prioritized) >= 10000 then return end
  add(job)
  rcall('PUBLISH', S .. 'all', 'e' .. job.q.name)
end

local function settleAll()
  local answers = {}
  ends, isShared = num(), true
  for index = 1, ends do
    local outcome = readOutcome()
    local escalation = arg() == '1' and readJob()
    local isFirst = escalation and isHeld(outcome)
    answers[index] = settle(outcome)
    if isFirst then escalate(escalation) end
  end
  flush()
  local taken = takeAlong()
  wakeForAdded()
  return { answers, taken, awake() }
end

local function enqueueAll()
  local answers = {}
  for index = 1, num() do
    local jobs = readJobs()
    local clash = clashOf(jobs)
    answers[index] = clash and { '', clash } or addAll(jobs)
  end
  local taken = takeAlong()
  wakeForAdded()
  return { answers, taken, awake() }
end

local function step()
  local q = Q(arg())
  local outcome = arg() == '1' and readOutcome()
  local jobs = readJobs()
  if outcome and not isHeld(outcome) then
    return { '', {}, {} }
  end
  local clash = clashOf(jobs)
  if clash then return { 'clash', { clash }, {} } end
  if outcome then settle(outcome) end
  local enqueued = addAll(jobs)
  for _ = 1, num() do
    local name, text = arg(), arg()
    if text == '' then rcall('HDEL', q.notes, name) else rcall('HSET', q.notes, name, text) end
  end
  wakeForAdded()
  return { '1', enqueued, awake() }
end

local function extend()
  local answers = {}
  for index = 1, num() do
    local q, eid, lock = Q(arg()), arg(), arg()
    answers[2 * index - 1], answers[2 * index] = '', false
    if isHeld({ q = q, eid = eid, lock = lock }) then
      answers[2 * index - 1] = '1'
      answers[2 * index] = rcall('HGET', q.p .. eid, '~un')
      rcall('PEXPIRE', q.p .. eid .. ':lock', 2 * LEASE + 5000)
      rcall('ZADD', q.leases, NOW + LEASE, eid)
    end
  end
  return answers
end

local operations = { enqueue = enqueueAll, lease = lease, settle = settleAll, step = step, extend = extend }
-- In a Redis that is full a step is refused, unless it began with a write that needs no memory: what ends jobs begins so.
if OP ~= 'enqueue' then rcall('DEL', S .. 'nothing') end
if operations[OP] then return operations[OP]() end
`
