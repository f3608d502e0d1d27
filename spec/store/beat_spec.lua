local beat = require("resty.switchboard.store.beat")

describe("the moments at which a worker wakes up", function()
  local worker, now = ngx.worker, ngx.now

  --- What `until_beat` says at a time, in one of some workers.
  local function moment(time, wait, id, count)
    ngx.worker = { id = function() return id end, count = function() return count end }
    ngx.now = function() return time end
    local ok, found = pcall(beat.until_beat, wait)
    ngx.worker, ngx.now = worker, now
    assert(ok, found)
    return found
  end

  it("are never later than what is waited for, but for what comes early, and always to come", function()
    math.randomseed(5)
    for _ = 1, 5000 do
      local wait = ({ 0.5, 0.7, 1, 2, 5 })[math.random(5)]
      local found = moment(1700000000 + math.random(), wait, math.random(0, 7), 8)
      assert.is_true(found > 0 and found <= wait + 0.0501, found)
      assert.is_true(found > wait - math.min(wait, 2))
    end
    assert.equal(0.3, moment(1700000000.2, 0.3, 0, 1))
  end)

  it("are the same for what is done twice a second, once, and every two seconds", function()
    math.randomseed(6)
    for _ = 1, 1000 do
      local time, id = 1700000000 + math.random(), math.random(0, 3)
      for _, wait in ipairs { 1, 2 } do
        local apart = (moment(time, wait, id, 4) - moment(time, 0.5, id, 4)) / 0.5
        assert.is_true(math.abs(apart - math.floor(apart + 0.5)) < 0.001, apart)
      end
    end
  end)

  it("are other ones in each worker", function()
    local seen = {}
    for id = 0, 3 do seen[("%.2f"):format(moment(1700000000.01, 2, id, 4))] = true end
    local different = 0
    for _ in pairs(seen) do different = different + 1 end
    assert.equal(4, different)
  end)
end)
