-- wrk: requests by what the environment says, and at the end two lines that bench/load.ts reads.
--
--   HOSTS     so many hosts, in turn from START
--   ZIPF      with it they are drawn, the n-th as often as 1/n; the same draws in each run
--   HOST      one host in their place
--   MADE_UP   every so many-th request is for a host that nobody has, another one each time
--   ROUTE     the path, or several in turn, a line each; /
--   HEADERS   lines of `name: value`
--   BODY      bytes of a body; with it the method is POST
--   THINK     milliseconds that a connection waits before a request, on the average
--   PAUSE     milliseconds that it waits before each turn

local hosts = tonumber(os.getenv("HOSTS") or 1)
local lone = os.getenv("HOST")
local made_up = tonumber(os.getenv("MADE_UP"))
local routes = {}
for route in (os.getenv("ROUTE") or "/"):gmatch("[^\n]+") do routes[#routes + 1] = route end
hosts = math.max(hosts, #routes)
local think = tonumber(os.getenv("THINK"))
local pause = tonumber(os.getenv("PAUSE"))
local body = os.getenv("BODY") and ("x"):rep(tonumber(os.getenv("BODY")))

local DRAWS = 262144
local ready, order = {}, nil
local i, others = tonumber(os.getenv("START") or 0) % hosts, 0

local function make(host, route)
  local headers = { Host = host }
  for name, value in (os.getenv("HEADERS") or ""):gmatch("([^:\n]+): ([^\n]+)") do headers[name] = value end
  return wrk.format(body and "POST" or "GET", route, headers, body)
end

-- Places of a list in which the n-th stands as often as 1/n.
local function draw(count)
  local sums, sum = {}, 0
  for n = 1, count do
    sum = sum + 1 / n
    sums[n] = sum
  end
  local drawn = {}
  math.randomseed(42)
  for at = 0, DRAWS - 1 do
    local wanted, low, high = math.random() * sum, 1, count
    while low < high do
      local middle = math.floor((low + high) / 2)
      if sums[middle] < wanted then low = middle + 1 else high = middle end
    end
    drawn[at] = low - 1
  end
  return drawn
end

init = function()
  for n = 0, hosts - 1 do ready[n] = make(lone or "app-" .. n .. ".bench.example", routes[n % #routes + 1]) end
  if os.getenv("ZIPF") then order = draw(hosts) end
  math.randomseed(os.time())
  others = math.random(0, 1000000000)
end

local sent = 0
request = function()
  if made_up then
    sent = sent + 1
    if sent % made_up == 0 then
      others = others + 1
      return make("nobody-" .. others .. ".bench.example", routes[1])
    end
  end
  i = i + 1
  if order then return ready[order[i % DRAWS]] end
  if i >= hosts then i = 0 end
  return ready[i]
end

if think then
  delay = function() return math.random(0, 2 * think) end
elseif pause then
  delay = function() return i == 0 and pause or 0 end
end

done = function(summary, latency)
  local e = summary.errors
  print(("RESULT %d %d %d %d %d %d"):format(summary.requests, summary.duration, e.status,
    e.connect + e.read + e.write + e.timeout, latency:percentile(99), latency.max))
  local line = { "PERCENTILES" }
  for _, p in ipairs { 0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99 } do
    line[#line + 1] = ("%s=%d"):format(p, p == 0 and latency.min or latency:percentile(p))
  end
  print(table.concat(line, " "))
end
