local breaths = require("resty.switchboard.route.breath")

describe("the pauses of who hears changes", function()
  local now = ngx.now
  local clock

  before_each(function()
    clock = 1700000000
    ngx.now = function() return clock end
  end)

  after_each(function() ngx.now = now end)

  --- Hears so many changes a second, one by one, for some seconds. Returns how often it paused, and how often it heard.
  local function hear(breath, per_second, seconds)
    local pauses, times, waiting, ends = 0, 0, 0, clock + seconds
    while clock < ends do
      clock = clock + 1 / per_second
      waiting = waiting + 1
      breaths.note(breath, waiting)
      times, waiting = times + 1, 0
      local pause = breaths.pause_of(breath)
      if pause > 0 then
        pauses = pauses + 1
        clock = clock + pause
        waiting = math.floor(pause * per_second)
      end
    end
    return pauses, times
  end

  it("are none where little changes", function()
    assert.equal(0, (hear(breaths.create(), 5, 20)))
    assert.equal(0, (hear(breaths.create(), 300, 20)))
  end)

  it("let a thousand changes a second wake it some fifty times", function()
    local pauses, times = hear(breaths.create(), 1000, 10)
    assert.is_true(times < 800, times)
    assert.is_true(pauses > 400, pauses)
  end)

  it("end with the rush", function()
    local breath = breaths.create()
    hear(breath, 1000, 2)
    assert.is_true((hear(breath, 50, 2)) <= 1)
    assert.equal(0, (hear(breath, 50, 2)))
  end)

  it("do not come from what changed long ago", function()
    local breath = breaths.create()
    breaths.note(breath, 39)
    clock = clock + 100
    breaths.note(breath, 1)
    assert.equal(0, breaths.pause_of(breath))
  end)
end)
