local reload = require("resty.switchboard.route.reload")

local function wait_for(condition)
  for _ = 1, 2000 do
    if condition() then return end
    ngx.sleep(0.001)
  end
  error("waited in vain")
end

describe("reloads", function()
  it("of one name are 50 ms apart, and one follows the last change", function()
    local begins, finished_at = {}, 0
    local reloads = reload.create(16, function()
      begins[#begins + 1] = ngx.now()
      ngx.sleep(0.003)
    end)
    local last
    for _ = 1, 150 do
      last = ngx.now()
      reload.mark(reloads, "a.example")
      ngx.sleep(0.002)
    end
    wait_for(function() return #begins > 0 and begins[#begins] >= last end)
    ngx.sleep(0.12)
    for i = 2, #begins do
      assert.is_true(begins[i] - begins[i - 1] >= 0.048, begins[i] - begins[i - 1])
    end
    assert.is_true(#begins <= (begins[#begins] - begins[1]) / 0.05 + 2, #begins)
    assert.equal(0, reloads.count + reloads.later_count + reloads.drainers, finished_at)
  end)

  it("of many names begin at once, few at a time, and none is forgotten", function()
    local count, running, most = {}, 0, 0
    local reloads = reload.create(16, function(names)
      running = running + 1
      most = math.max(most, running)
      assert(#names <= 16)
      ngx.sleep(0.001)
      for _, name in ipairs(names) do count[name] = (count[name] or 0) + 1 end
      running = running - 1
    end)
    math.randomseed(7)
    local marked = {}
    for _ = 1, 2000 do
      local name = ("r%d.example"):format(math.random(300))
      marked[name] = true
      reload.mark(reloads, name)
    end
    wait_for(function() return reloads.count + reloads.later_count + reloads.drainers == 0 end)
    for name in pairs(marked) do assert.is_true(count[name] >= 1) end
    assert.is_true(most <= 4, most)
  end)
end)
