local breathe = require("resty.switchboard.observe.breath").breathe

describe("the breath between two pieces of a page", function()
  --- A breath in which others hold the worker up for so long.
  local function breathe_beside(held_up)
    local others = ngx.thread.spawn(function()
      ngx.sleep(0.0005)
      local until_then = os.clock() + held_up
      while os.clock() < until_then do end
    end)
    local sleep, slept = ngx.sleep, 0
    ngx.sleep = function(seconds)
      slept = slept + 1
      return sleep(seconds)
    end
    for _ = 1, 4 do breathe() end
    ngx.sleep = sleep
    ngx.thread.wait(others)
    return slept
  end

  --- Whether so many are seen in one of some tries: the machine may be busy with something else in one.
  local function sees(held_up, expected)
    for _ = 1, 50 do
      if expected(breathe_beside(held_up)) then return true end
    end
    return false
  end

  it("is one after each piece in a worker that has time to spare, after a few in a busy one", function()
    assert.is_true(sees(0, function(breaths) return breaths == 4 end))
    assert.is_true(sees(0.02, function(breaths) return breaths == 1 end))
    assert.is_true(sees(0, function(breaths) return breaths == 4 end))
  end)
end)
