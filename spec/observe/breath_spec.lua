local breathe = require("resty.switchboard.observe.breath").breathe

describe("the breath between two pieces of a page", function()
  --- Seconds that a breath is to take behind one in which others held the worker up for so long.
  local function breath_after(held_up)
    local others = ngx.thread.spawn(function()
      ngx.sleep(0.0005)
      local until_then = os.clock() + held_up
      while os.clock() < until_then do end
    end)
    breathe()
    ngx.thread.wait(others)
    local sleep, wanted = ngx.sleep, nil
    ngx.sleep = function(seconds)
      wanted = seconds
      return sleep(seconds)
    end
    breathe()
    ngx.sleep = sleep
    return wanted
  end

  it("is twice as long in a worker that has time to spare as in a busy one", function()
    ngx.sleep(0.001)
    breathe()
    assert.equal(0.002, breath_after(0))
    assert.equal(0.001, breath_after(0.02))
    assert.equal(0.002, breath_after(0))
  end)
end)
