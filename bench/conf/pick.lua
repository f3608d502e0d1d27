-- What a pick costs by each algorithm, and what each makes of a pool in a simulation with fixed seeds.

local algorithms = require("resty.switchboard.balance.algorithms").ALGORITHMS
local dice = require("resty.switchboard.balance.dice")
local latency = require("resty.switchboard.balance.latency")
local pools = require("resty.switchboard.balance.pool")

local NONE = {}
local NAMES = { "round_robin", "least_conn", "ewma", "hash", "random" }

local function say(...)
  io.stdout:write(table.concat({ ... }, " "), "\n")
  io.stdout:flush()
end

local function make_peers(count, weight_of)
  local list = {}
  for i = 1, count do
    list[i] = {
      address = ("10.0.%d.%d"):format(math.floor(i / 250), i % 250 + 1), port = 8080, tls = false, weight = weight_of(i),
      backup = false, resting = false, share = 1, credit = 0, joined_at = 0, index = i,
      state = { identity = tostring(i), in_flight = 0, answered_at = 0, usable = true, recovered_at = 0, on_trial_since = 0, latency = 0, measured_at = 0 },
    }
  end
  return list
end

local function make_pool(name, list, bound, start)
  return pools.create(list, { make = algorithms[name], bound = bound or 0, slow_start = 0 }, start or 0, ngx.now())
end

-- Nanoseconds of CPU for a pick with what a request does around it: the peer has one more running, another one less. Who was
-- picked is counted, so that no pick can be left out; and nothing around it takes long enough to hide it.
local function time_picks(pool, picks, hits)
  local pick = pools.pick
  local ring, at = {}, 0
  for i = 0, 63 do ring[i] = { state = { in_flight = 1 } } end
  local key = 12345
  local began = os.clock()
  for _ = 1, picks do
    key = bit.bxor(key, bit.lshift(key, 13))
    key = bit.bxor(key, bit.rshift(key, 17))
    key = bit.bxor(key, bit.lshift(key, 5))
    if pool.bound > 0 then pool.picker.running = 64 end
    local peer = pick(pool, key + 2147483648, NONE)
    local index, state = peer.index, peer.state
    hits[index] = hits[index] + 1
    state.in_flight = state.in_flight + 1
    local old = ring[at].state
    old.in_flight = old.in_flight - 1
    ring[at].state = state
    at = bit.band(at + 1, 63)
  end
  local ns = (os.clock() - began) / picks * 1e9
  for i = 0, 63 do ring[i].state.in_flight = ring[i].state.in_flight - 1 end
  return ns
end

local function no_hits(count)
  local hits = {}
  for i = 1, count do hits[i] = 0 end
  return hits
end

-- The same loop with one peer, who is at hand.
local function time_loop(picks)
  local lone = make_peers(1, function() return 1 end)[1]
  local original = pools.pick
  pools.pick = function() return lone end
  local ns = time_picks({ bound = 0 }, picks, no_hits(1))
  pools.pick = original
  return ns
end

-- The peers that picks have reached: all, where all weigh the same, or it was not picks that were timed.
local function count_hit(case)
  local hit = 0
  for _, times in ipairs(case.hits) do hit = hit + (times > 0 and 1 or 0) end
  assert(hit == case.count or not case.even, case.label .. " picked " .. hit .. " of " .. case.count)
  return hit
end

local function median(values)
  table.sort(values)
  return values[math.ceil(#values / 2)]
end

local function measure_picks()
  local cases = {}
  local function add(label, name, count, weight_of, bound)
    local list = make_peers(count, weight_of)
    for _, peer in ipairs(list) do latency.note_answer(peer.state, 0.01, ngx.now()) end
    cases[#cases + 1] = {
      label = label, count = count, even = list[1].weight == list[2].weight, pool = make_pool(name, list, bound),
      times = {}, hits = no_hits(count),
    }
  end
  for _, count in ipairs { 3, 100, 1000 } do
    for _, name in ipairs(NAMES) do add(name, name, count, function() return 1 end) end
    add("round_robin_weighted", "round_robin", count, function(i) return 1 + i * 7919 % 60000 end)
    add("least_conn_weighted", "least_conn", count, function(i) return 1 + i % 7 end)
    add("hash_bounded", "hash", count, function() return 1 end, 1.25)
  end
  local loops = {}
  for _ = 1, 7 do
    jit.flush()
    loops[#loops + 1] = time_loop(300000)
    for _, case in ipairs(cases) do
      -- Each with traces of its own, as in a worker whose routes mostly have one algorithm.
      jit.flush()
      time_picks(case.pool, 10000, case.hits)
      case.times[#case.times + 1] = time_picks(case.pool, 100000, case.hits)
    end
  end
  local loop = median(loops)
  for _, case in ipairs(cases) do
    say("PICK", case.label, case.count, ("%.1f"):format(median(case.times) - loop), count_hit(case))
  end
end

-- The simulation. Requests come at random to workers that know only what they sent themselves; an instance works on
-- `slots` at a time and queues the rest. All times are seconds.

local clock = 0

local function exponential(mean) return -mean * math.log(1 - math.random()) end

-- Events in a binary heap by time.
local function push(heap, event)
  local place = #heap + 1
  while place > 1 do
    local parent = math.floor(place / 2)
    if heap[parent].at <= event.at then break end
    heap[place] = heap[parent]
    place = parent
  end
  heap[place] = event
end

local function pop(heap)
  local top, last = heap[1], table.remove(heap)
  local count = #heap
  if count == 0 then return top end
  local place = 1
  while true do
    local child = place * 2
    if child > count then break end
    if child < count and heap[child + 1].at < heap[child].at then child = child + 1 end
    if heap[child].at >= last.at then break end
    heap[place] = heap[child]
    place = child
  end
  heap[place] = last
  return top
end

local WORKERS, INSTANCES, SLOTS, MEAN, LOAD, REQUESTS = 4, 10, 8, 0.01, 0.6, 60000

--- `odd`: what the first instance does; `length`: how long a request takes at an ordinary one.
local function simulate(name, scenario)
  math.randomseed(42)
  dice.seed(42)
  clock = 1000
  local pools_of, peers_of = {}, {}
  for worker = 1, WORKERS do
    peers_of[worker] = make_peers(INSTANCES, function() return 1 end)
    pools_of[worker] = make_pool(name, peers_of[worker], 0, math.floor((worker - 1) / WORKERS * INSTANCES))
  end
  local busy, queue = {}, {}
  for i = 1, INSTANCES do busy[i], queue[i] = 0, {} end
  local heap, times, counts, failed = {}, {}, {}, 0
  local rate = INSTANCES * SLOTS / MEAN * LOAD
  local function begin(request)
    busy[request.index] = busy[request.index] + 1
    local seconds, fails = scenario.length()
    if request.index == 1 then seconds, fails = scenario.odd(seconds) end
    request.fails = fails
    request.at = clock + seconds
    request.ends = true
    push(heap, request)
  end
  push(heap, { at = clock })
  local arrived, ended = 0, 0
  while ended < REQUESTS do
    local event = pop(heap)
    clock = event.at
    if not event.ends then
      arrived = arrived + 1
      if arrived < REQUESTS then push(heap, { at = clock + exponential(1 / rate) }) end
      local worker = math.random(WORKERS)
      local peer = pools.pick(pools_of[worker], math.random(0, 4294967295), NONE)
      peer.state.in_flight = peer.state.in_flight + 1
      local request = { index = peer.index, peer = peer, came = clock }
      counts[peer.index] = (counts[peer.index] or 0) + 1
      if busy[peer.index] < SLOTS then begin(request) else table.insert(queue[peer.index], request) end
    else
      ended = ended + 1
      local state = event.peer.state
      state.in_flight = state.in_flight - 1
      if event.fails then
        failed = failed + 1
        latency.note_failure(state, clock)
      else
        latency.note_answer(state, clock - event.came, clock)
        times[#times + 1] = clock - event.came
      end
      busy[event.index] = busy[event.index] - 1
      local next_one = table.remove(queue[event.index], 1)
      if next_one then begin(next_one) end
    end
  end
  table.sort(times)
  local most, least = 0, math.huge
  for i = 2, INSTANCES do most, least = math.max(most, counts[i] or 0), math.min(least, counts[i] or 0) end
  return times[math.ceil(#times * 0.5)] * 1000, times[math.ceil(#times * 0.99)] * 1000, (counts[1] or 0) / REQUESTS, most / least
end

local function usual() return exponential(MEAN) end
local SCENARIOS = {
  { "all_equal", { length = usual, odd = function(seconds) return seconds end } },
  { "lengths_differ", { length = function() return math.random() < 0.02 and 0.25 or exponential(0.005) end, odd = function(seconds) return seconds end } },
  { "one_3_times_slower", { length = usual, odd = function(seconds) return seconds * 3 end } },
  { "one_takes_5_s", { length = usual, odd = function() return 5 end } },
  { "one_fails_in_1_ms", { length = usual, odd = function() return 0.001, true end } },
}

local function run_simulations()
  local now = ngx.now
  ngx.now = function() return clock end
  for _, scenario in ipairs(SCENARIOS) do
    for _, name in ipairs(NAMES) do
      local p50, p99, share, max_min = simulate(name, scenario[2])
      say("SIM", scenario[1], name, ("%.1f %.1f %.4f %.3f"):format(p50, p99, share, max_min))
    end
  end
  ngx.now = now
end

measure_picks()
run_simulations()
io.stdout:flush()
