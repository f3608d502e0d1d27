describe("what is done again and again", function()
  local ticks

  before_each(function()
    package.loaded["resty.switchboard.observe.ticks"] = nil
    ticks = require("resty.switchboard.observe.ticks")
    ngx.update_time()
  end)

  --- Starts it, until `stop` is called; it is not due again in this spec then.
  local function begin(after, every)
    local one = { times = {} }
    ticks.tick(after, "spec", function()
      one.times[#one.times + 1] = ngx.now()
      if one.fails then error("no") end
      return one.ended and 1000 or every
    end)
    return one
  end

  it("is done when it is due, each at its own pace", function()
    local began = ngx.now()
    local often, seldom = begin(0, 0.1), begin(0.3, 0.3)
    ngx.sleep(0.95)
    often.ended, seldom.ended = true, true
    assert.is_true(#often.times >= 7 and #often.times <= 19, #often.times)
    assert.is_true(#seldom.times >= 2 and #seldom.times <= 4, #seldom.times)
    assert.is_true(seldom.times[1] - began >= 0.24)
    -- Nearly due is due: they wake up together.
    local together = false
    for _, time in ipairs(often.times) do together = together or time == seldom.times[1] end
    assert.is_true(together)
    ngx.sleep(0.35)
  end)

  it("goes on, and so does the rest, when something fails", function()
    local bad, good = begin(0, 0.1), begin(0, 0.1)
    bad.fails = true
    ngx.sleep(0.55)
    good.ended = true
    assert.is_true(#good.times >= 3, #good.times)
    ngx.sleep(0.7)
    assert.is_true(#bad.times >= 2, #bad.times)
    bad.fails, bad.ended = false, true
    ngx.sleep(1.1)
  end)
end)
