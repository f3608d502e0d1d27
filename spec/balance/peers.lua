-- Peers for the specs of balancing, and what a run of picks came to.

local M = {}

local next_host = 0

--- Peers of these weights, each an instance that nobody has used. `more` adds fields to each.
function M.make(weights, more)
  local list = {}
  for i, weight in ipairs(weights) do
    next_host = next_host + 1
    local peer = {
      address = ("10.%d.%d.%d"):format(math.floor(next_host / 65536) % 256, math.floor(next_host / 256) % 256, next_host % 256),
      port = 80, tls = false, weight = weight, backup = false, resting = false, share = 1, credit = 0, joined_at = 0,
      index = i,
      state = {
        identity = "http://" .. next_host, in_flight = 0, answered_at = 0, usable = true, recovered_at = 0, on_trial_since = 0, latency = 0, measured_at = 0,
      },
    }
    for name, value in pairs(more and more(i) or {}) do peer[name] = value end
    list[i] = peer
  end
  return list
end

--- `n` peers of weight 1.
function M.even(n)
  local weights = {}
  for i = 1, n do weights[i] = 1 end
  return M.make(weights)
end

--- How often each was picked, by index.
function M.tally(pick, count)
  local counts = {}
  for i = 1, count do
    local index = pick(i).index
    counts[index] = (counts[index] or 0) + 1
  end
  return counts
end

--- The largest number over the smallest one, of the first `n`.
function M.max_min(counts, n)
  local most, least = 0, math.huge
  for i = 1, n do
    most, least = math.max(most, counts[i] or 0), math.min(least, counts[i] or 0)
  end
  return most / least
end

--- The kilobytes that `run` leaves behind when it is run again: the least of some times, as compiling leaves some too.
function M.garbage_of(run)
  local least = math.huge
  for _ = 1, 6 do
    collectgarbage()
    collectgarbage("stop")
    local before = collectgarbage("count")
    run()
    least = math.min(least, collectgarbage("count") - before)
    collectgarbage("restart")
  end
  return least
end

return M
