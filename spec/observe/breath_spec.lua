local begin = require("resty.switchboard.observe.breath").begin

describe("the breath between two pieces of a page", function()
  local now, sleep = ngx.now, ngx.sleep
  after_each(function() ngx.now, ngx.sleep = now, sleep end)

  --- Breaths for so many pieces in a worker whose turns are so long, and how long it took.
  local function write(pieces, turn)
    local clock, breaths = 1000, 0
    ngx.now = function() return clock end
    ngx.sleep = function(seconds)
      assert.equal(0.001, seconds)
      breaths = breaths + 1
      clock = clock + turn
    end
    local pause = begin()
    for _ = 1, pieces do pause() end
    return breaths, clock - 1000
  end

  it("is one after each piece at first", function()
    assert.equal(20, write(20, 0.001))
  end)

  it("lets a page come to its end in a worker that is busy", function()
    local breaths, took = write(150, 0.003)
    assert.is_true(took > 0.15 and took < 0.22, took)
    assert.is_true(breaths > 40)
    assert.is_true(select(2, write(150, 0.02)) < 0.6)
  end)

  it("yields, so that others have their turn", function()
    local had
    local other = ngx.thread.spawn(function()
      ngx.sleep(0.0001)
      had = true
    end)
    local pause = begin()
    for _ = 1, 3 do pause() end
    assert.is_true(had)
    ngx.thread.wait(other)
  end)
end)
