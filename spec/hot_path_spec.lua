-- The way of a request must be machine code: LuaJIT interprets what it cannot compile, several times slower,
-- and says nothing.

local vmdef = require("jit.vmdef")
local util = require("jit.util")

local REQUESTS = 3000

-- A loop that was met before it was compiled itself, or that ended while it was recorded, and a return into a
-- frame below: such a trace is tried again from elsewhere, and it comes to a few at a place. A place that goes on
-- failing is given up and stays interpreted; anything else fails for good.
local PASSING = {
  ["inner loop in root trace"] = true,
  ["leaving loop in root trace"] = true,
  ["NYI: return to lower frame"] = true,
  ["retry recording"] = true,
  -- The way of a route with every option is about as long as a trace may be in stock LuaJIT (OpenResty's may be four
  -- times as long): one that began too early is begun again further on.
  ["trace too long"] = true,
}
local MOST_PASSING = 3

local function is_ours(func)
  local info = util.funcinfo(func)
  return info.source ~= nil and info.source:find("/lib/resty/switchboard/", 1, true) ~= nil
end

local function place(func, pc)
  local info = util.funcinfo(func, pc)
  return info.loc or info.source
end

-- What LuaJIT did while `work` ran, in our modules.
local function watch(work)
  local aborts, stitches, compiled, started, passed = {}, {}, {}, {}, {}
  local function heard(what, trace, func, pc, code, reason)
    if what == "start" then
      started[trace] = func
    elseif what == "abort" and is_ours(func) then
      local text = type(code) == "number" and vmdef.traceerr[code] or tostring(code)
      -- One that began in a function of resty.core, such as a read of `ngx.var`, and came back to its caller: theirs.
      local is_theirs = text == "NYI: return to lower frame" and started[trace] and not is_ours(started[trace])
      if is_theirs then return end
      if type(reason) == "function" then reason = place(reason) end
      local where = place(func, pc)
      passed[where] = (passed[where] or 0) + 1
      if not PASSING[text] or passed[where] > MOST_PASSING then
        aborts[#aborts + 1] = ("%s: %s (%s)"):format(where, text, tostring(reason))
      end
    elseif what == "stop" and started[trace] and is_ours(started[trace]) then
      compiled[place(started[trace]):match("[^/]+/[^/]+%.lua") or "?"] = true
      if util.traceinfo(trace).linktype == "stitch" then
        stitches[#stitches + 1] = place(started[trace])
      end
    end
  end
  jit.flush()
  jit.attach(heard, "trace")
  local ok, problem = pcall(work)
  jit.attach(heard)
  assert(ok, problem)
  return aborts, stitches, compiled
end

-- A client that keeps its cookies.
local function send_requests(host, count)
  local cookie = ""
  local socket = ngx.socket.tcp()
  assert(socket:connect("unix:" .. SPEC_PREFIX .. "/front.sock"))
  for _ = 1, count do
    assert(socket:send("GET /team/app/x HTTP/1.1\r\nHost: " .. host .. "\r\n" .. cookie .. "\r\n"))
    local status = assert(socket:receive())
    assert(status:find("200", 1, true), status)
    local length = 0
    repeat
      local line = assert(socket:receive())
      length = tonumber(line:match("^Content%-Length: (%d+)")) or length
      local set = line:match("^Set%-Cookie: ([^;]+)")
      cookie = set and "Cookie: " .. set .. "\r\n" or cookie
    until line == ""
    assert(socket:receive(length))
  end
  socket:close()
end

describe("the way of a request", function()
  local switchboard = require("resty.switchboard")
  local redis = require("resty.redis"):new()

  setup(function()
    -- Specs before this one may have left instances that are out, and a timer that looks at them.
    ngx.shared.switchboard_state:flush_all()
    ngx.update_time()
    local until_when = ngx.now() + 10
    while ngx.timer.pending_count() > 0 and ngx.now() < until_when do ngx.sleep(0.05) end
    assert.equal(0, ngx.timer.pending_count())
    assert(redis:connect("127.0.0.1", 6379))
    redis:flushall()
    redis:sadd("backends:plain.example", "127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9003")
    redis:sadd("backends:weighted.example", "127.0.0.1:9001?weight=3", "127.0.0.1:9002", "127.0.0.1:9003")
    redis:sadd("backends:*.wild.example", "127.0.0.1:9001", "127.0.0.1:9002")
    redis:hset("route:timed.example", "pool", "@timed", "read_timeout", "5s")
    redis:sadd("backends:@timed", "127.0.0.1:9001", "127.0.0.1:9002")
    for name, balance in pairs { least = "least_conn", ewma = "ewma", hash = "hash:uri", random = "random" } do
      redis:sadd("backends:" .. name .. ".example", "127.0.0.1:9001", "127.0.0.1:9002?weight=2", "127.0.0.1:9003")
      redis:hset("route:" .. name .. ".example", "balance", balance)
    end
    redis:hset("route:hash.example", "hash_bound", "1.25")
    -- A round too long to be kept.
    redis:sadd("backends:long.example", "127.0.0.1:9001?weight=409", "127.0.0.1:9002?weight=211", "127.0.0.1:9003?weight=97")
    redis:sadd("backends:sticky.example", "127.0.0.1:9001", "127.0.0.1:9002")
    redis:hset("route:sticky.example", "sticky", "cookie")
    -- What stands at / of these hosts, and a path of theirs, which has what the host has.
    for _, host in ipairs { "paths.example", "ruled.example", "ruled-paths.example" } do
      redis:sadd("backends:" .. host, "127.0.0.1:9001", "127.0.0.1:9002")
      redis:sadd("backends:" .. host .. "/team/app", "127.0.0.1:9001", "127.0.0.1:9002")
    end
    redis:hset("route:ruled.example", "deny_ips", "10.0.0.0/8", "hsts", "on", "max_body", "1m", "request_header.X-Tenant", "acme")
    -- With all of these a trace would be longer than LuaJIT's default allows, and be cut in two.
    redis:hset("route:ruled-paths.example", "deny_ips", "10.0.0.0/8", "hsts", "on")
    redis:sadd("paths:paths.example", "/team/app", "/team/other", "/x")
    redis:sadd("paths:ruled-paths.example", "/team/app", "/team/other", "/x")
    -- No refresh may come in between: what it does is not the way of a request.
    switchboard.configure { ttl = "1000", redis_url = "redis://127.0.0.1:6379" }
  end)

  teardown(function() redis:flushall() end)

  for _, host in ipairs {
    "plain.example", "weighted.example", "a.wild.example", "timed.example", "least.example", "ewma.example", "hash.example",
    "random.example", "long.example", "sticky.example", "paths.example", "ruled.example", "ruled-paths.example",
  } do
    it("is compiled for " .. host, function()
      send_requests(host, 10)
      local aborts, stitches, compiled = watch(function() send_requests(host, REQUESTS) end)
      assert.same({}, aborts)
      assert.same({}, stitches)
      assert.is_truthy(next(compiled), "nothing of ours was compiled: this spec sees nothing")
    end)
  end

  it("asks neither Redis nor writes to a shared dict, and reads one at most once a tick", function()
    send_requests("plain.example", 10)
    local methods = getmetatable(ngx.shared.switchboard_state).__index
    local originals, reads, most_reads, writes = {}, {}, 0, {}
    for name, method in pairs(methods) do
      if type(method) == "function" then originals[name] = method end
    end
    for name, method in pairs(originals) do
      methods[name] = function(...)
        if name == "get" then
          local now = ngx.now()
          reads[now] = (reads[now] or 0) + 1
          most_reads = math.max(most_reads, reads[now])
        else
          writes[#writes + 1] = name
        end
        return method(...)
      end
    end
    local function commands() return (redis:info("commandstats"):gsub("cmdstat_info:[^\n]*\n", "")) end
    local before = commands()
    local ok, problem = pcall(send_requests, "plain.example", 1000)
    for name, method in pairs(originals) do methods[name] = method end
    assert(ok, problem)
    assert.same({}, writes)
    assert.equal(1, most_reads)
    assert.equal(before, commands())
  end)

  it("would be seen not to be, if a phase did what LuaJIT cannot compile", function()
    local phases = require("resty.switchboard.request.phases")
    local plain = phases.log
    local file = assert(loadstring("local plain = ... return function() local f = function() return plain end return f()() end",
      "@/lib/resty/switchboard/request/phases.lua"))
    phases.log = file(plain)
    local aborts = watch(function() send_requests("plain.example", REQUESTS) end)
    phases.log = plain
    assert.is_true(#aborts > 0)
  end)
end)
