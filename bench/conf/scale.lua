-- What bench/scale.ts asks of the one worker: how long it was held up, how much memory it has, how far it is.

local ffi = require("ffi")

ffi.cdef [[
  typedef struct { long sec; long nsec; } scale_time;
  int clock_gettime(int clock, scale_time *time);
]]

local MONOTONIC, OF_THIS_THREAD = 1, 3
local time = ffi.new("scale_time")

local function clock(which)
  ffi.C.clock_gettime(which, time)
  return tonumber(time.sec) + tonumber(time.nsec) / 1e9
end

local _M = {}
local started, loaded_in, took_to_init
--- Milliseconds between two looks of the probe, on the clock and of this worker's own CPU: what is more than a
--- millisecond, others had to wait for.
local longest = { wall = 0, cpu = 0 }

function _M.init()
  local began = clock(MONOTONIC)
  require("resty.switchboard").configure()
  took_to_init = clock(MONOTONIC) - began
end

local function probe()
  while not ngx.worker.exiting() do
    local wall, cpu = clock(MONOTONIC), clock(OF_THIS_THREAD)
    ngx.sleep(0.001)
    longest.wall = math.max(longest.wall, (clock(MONOTONIC) - wall) * 1000)
    longest.cpu = math.max(longest.cpu, (clock(OF_THIS_THREAD) - cpu) * 1000)
    if not loaded_in and ngx.shared.switchboard_state:get("watch:complete") then
      loaded_in = clock(MONOTONIC) - started
    end
  end
end

function _M.start()
  require("resty.switchboard").start()
  started = clock(MONOTONIC)
  ngx.timer.at(0, probe)
end

--- Milliseconds of the longest step of the garbage collector in a whole cycle, of this worker's own CPU: of five cycles the
--- median. In some ten thousand steps one is sure to meet with another process, or with another virtual machine, whose time
--- counts as this worker's; what the collector itself has to do in one go it has to do in each cycle.
local function longest_step()
  local longest = {}
  for cycle = 1, 5 do
    local most, done = 0, nil
    repeat
      local began = clock(OF_THIS_THREAD)
      done = collectgarbage("step", 0)
      most = math.max(most, (clock(OF_THIS_THREAD) - began) * 1000)
    until done
    longest[cycle] = most
  end
  table.sort(longest)
  return longest[3]
end

local function memory()
  local file = assert(io.open("/proc/self/status"))
  local text = file:read("*a")
  file:close()
  return tonumber(text:match("RssAnon:%s+(%d+)"))
end

--- One line of JSON; ?reset=1 begins anew with the longest.
function _M.serve()
  local args = ngx.req.get_uri_args()
  local names, routes = ngx.shared.switchboard_names, ngx.shared.switchboard_routes
  local heap = collectgarbage("count")
  ngx.say(require("cjson").encode {
    names = names:get("count") or 0,
    free_bytes = names:free_space() + routes:free_space(),
    loaded_in = loaded_in,
    init_seconds = took_to_init,
    wall_ms = longest.wall,
    cpu_ms = longest.cpu,
    heap_kb = heap,
    memory_kb = memory(),
    step_ms = args.steps and longest_step() or nil,
  })
  if args.reset then
    longest.wall, longest.cpu = 0, 0
  end
end

return _M
