/**
 * What each call begins with. Redis makes every function of a script anew at each call, so those that most calls can do
 * without are made when one of them is first asked for. Keys with a `~` are ours.
 */
export const CORE = `
local OP, P, NOW, SELF = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local at = 4
local rcall = redis.call
local S = P .. ':~'
local HALF = 2147483648
local queues, woken = {}, {}
-- How many jobs this call may end, and whether it takes them from the leases at its end.
local ends, isShared = 1, false
local makeOthers
-- In one table: each function that captures many others would be searched for by each that is made after it.
local F = setmetatable({}, { __index = function(F, name)
  if makeOthers then
    local make = makeOthers
    makeOthers = nil
    make()
  end
  return rawget(F, name)
end })
local queue = {} -- gives the names of keys, once the others are made

function F.Q(name)
  local q = queues[name]
  if not q then
    q = setmetatable({ name = name, p = P .. ':' .. name .. ':', isReady = 0, taken = 0 }, queue)
    queues[name] = q
  end
  return q
end
`
