local set_up_compiler = require("resty.switchboard.config.compiler").set_up_compiler
local traceinfo = require("jit.util").traceinfo

local function count_traces()
  local count = 0
  for i = 1, 65535 do
    if traceinfo(i) then count = count + 1 end
  end
  return count
end

jit.off(count_traces)

--- Loops that go another way in some of their rounds, each with code of its own.
local loops = {}
for i = 1, 20 do
  loops[i] = assert(loadstring([[
    local rounds, every = ...
    local usual, other = 0, 0
    for i = 1, rounds do
      if i % every == 0 then other = other + i * 2 else usual = usual + 1 end
    end
    return usual, other
  ]]))
end

--- @return how many traces there are more afterwards
local function go(rounds, every)
  local before = count_traces()
  for _, loop in ipairs(loops) do loop(rounds, every) end
  return count_traces() - before
end

describe("the compiler", function()
  -- Else all that happens now and then has traces some day: see config/compiler.
  it("leaves alone what is done now and then, and compiles what is done often", function()
    set_up_compiler()
    jit.flush()
    assert.is_true(go(10000, 100000) >= #loops)
    -- The compiler may begin with something else that is hot by then.
    assert.is_true(go(6000, 100) < #loops / 2)
    assert.is_true(go(30000, 100) >= #loops)
  end)
end)
