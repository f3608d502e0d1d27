-- Counts operations on shared dicts in this worker: each holds the lock of its dict once. Run it before `configure`.

local counts = {}
local names = {}
for name, dict in pairs(ngx.shared) do
  names[dict] = name:gsub("^switchboard_", "")
end

local methods = getmetatable(ngx.shared.switchboard_state).__index
local plain_get = methods.get
for operation, call in pairs(methods) do
  -- `capacity` reads what never changes, without the lock.
  if type(call) == "function" and operation ~= "capacity" then
    methods[operation] = function(dict, key, ...)
      -- "h:out:http://10.0.0.5:8080" is one of many "h:out"; the names of routes are all one.
      local kind = names[dict] == "state" and tostring(key):match("^%a[%a:_]*") or ""
      local what = ("%s %s %s %s"):format(ngx.get_phase(), names[dict], operation, kind)
      counts[what] = (counts[what] or 0) + 1
      return call(dict, key, ...)
    end
  end
end

return {
  -- Nanoseconds of the look that a worker takes at what has changed, lock and all: the best of some rounds.
  time = function()
    local dict, best = ngx.shared.switchboard_state, math.huge
    for _ = 1, 20 do
      local began = os.clock()
      for _ = 1, 50000 do
        plain_get(dict, "generation")
      end
      best = math.min(best, (os.clock() - began) / 50000)
    end
    ngx.say(best * 1e9)
  end,
  clear = function()
    counts = {}
    ngx.say(ngx.worker.pid())
  end,
  show = function()
    ngx.say(ngx.worker.pid())
    for what, count in pairs(counts) do
      ngx.say(what, " ", count)
    end
  end,
}
