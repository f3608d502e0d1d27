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
    local begins, finished_at, done_at = {}, 0, 0
    local reloads = reload.create(16, function(names, over)
      begins[#begins + 1] = ngx.now()
      ngx.sleep(0.003)
      over(names[1], false)
    end, function() done_at = #begins end)
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
    assert.equal(#begins, done_at)
  end)

  it("of many names begin at once, few at a time, and none is forgotten", function()
    local count, done, running, most = {}, {}, 0, 0
    local reloads = reload.create(16, function(names, over)
      running = running + 1
      most = math.max(most, running)
      assert(#names <= 16)
      ngx.sleep(0.001)
      for _, name in ipairs(names) do count[name] = (count[name] or 0) + 1 end
      running = running - 1
      for _, name in ipairs(names) do over(name, false) end
    end, function(name) done[name] = true end)
    math.randomseed(7)
    local marked = {}
    for _ = 1, 2000 do
      local name = ("r%d.example"):format(math.random(300))
      marked[name] = true
      reload.mark(reloads, name)
    end
    wait_for(function() return reloads.count + reloads.later_count + reloads.drainers == 0 end)
    for name in pairs(marked) do assert.is_true(count[name] >= 1) end
    assert.same(marked, done)
    assert.is_true(most <= 4, most)
  end)

  it("of a few names are made one after the other, in batches with a breath between", function()
    local running, most, sizes, ended_at, breaths = 0, 0, {}, nil, {}
    local reloads = reload.create(16, function(names, over)
      running = running + 1
      most = math.max(most, running)
      sizes[#sizes + 1] = #names
      if ended_at then breaths[#breaths + 1] = ngx.now() - ended_at end
      ngx.sleep(0.002)
      ngx.update_time()
      ended_at = ngx.now()
      running = running - 1
      for _, name in ipairs(names) do over(name, false) end
    end, function() end)
    for i = 1, 30 do reload.mark(reloads, ("r%d.example"):format(i)) end
    wait_for(function() return reloads.count + reloads.drainers == 0 end)
    assert.same({ 16, 14 }, sizes)
    assert.equal(1, most)
    for _, breath in ipairs(breaths) do assert.is_true(breath >= 0.0009, breath) end
  end)

  it("are not held up by one that waits for something of its own", function()
    local read = {}
    local reloads = reload.create(16, function(names, over)
      if names[1] == "slow.example" then ngx.sleep(0.5) end
      for _, name in ipairs(names) do
        read[name] = ngx.now()
        over(name, false)
      end
    end, function() end)
    reload.mark(reloads, "slow.example")
    ngx.sleep(0.002)
    ngx.update_time()
    local marked = ngx.now()
    reload.mark(reloads, "quick.example")
    wait_for(function() return read["slow.example"] end)
    assert.is_true(read["quick.example"] - marked < 0.2, read["quick.example"] - marked)
    wait_for(function() return reloads.drainers == 0 and not reloads.relief_runs end)
  end)

  it("are over as soon as they are read, though another one read with them waits", function()
    local reads, done = {}, {}
    local reloads = reload.create(16, function(names, over)
      for _, name in ipairs(names) do
        reads[name] = (reads[name] or 0) + 1
        if name ~= "slow.example" then over(name, false) end
      end
      if names[1] == "slow.example" or names[2] == "slow.example" then
        ngx.sleep(0.5)
        over("slow.example", false)
      end
    end, function(name) done[name] = ngx.now() end)
    reload.mark(reloads, "slow.example")
    reload.mark(reloads, "quick.example")
    wait_for(function() return done["quick.example"] end)
    assert.is_nil(done["slow.example"])
    ngx.sleep(0.06)
    reload.mark(reloads, "quick.example")
    wait_for(function() return reads["quick.example"] == 2 end)
    assert.is_nil(done["slow.example"], "it was read again meanwhile")
    wait_for(function() return done["slow.example"] end)
    wait_for(function() return reloads.drainers == 0 and not reloads.relief_runs end)
  end)

  it("that failed are not done, and are tried again a few at a time when that is asked for", function()
    local fails, done, tried = true, {}, 0
    local reloads = reload.create(16, function(names, over)
      tried = tried + #names
      for _, name in ipairs(names) do over(name, fails) end
    end, function(name) done[#done + 1] = name end)
    local function wait() wait_for(function() return reloads.count + reloads.later_count + reloads.drainers == 0 end) end
    for i = 1, 10 do reload.mark(reloads, ("r%d.example"):format(i)) end
    wait()
    assert.equal(10, tried)
    assert.same({}, done)
    fails = false
    reload.try_again(reloads, 4)
    wait()
    assert.equal(4, #done)
    reload.try_again(reloads, 100)
    wait()
    assert.equal(10, #done)
    reload.try_again(reloads, 100)
    wait()
    assert.equal(20, tried)
  end)

  it("are not done when the name has changed again meanwhile", function()
    local begun, done = 0, {}
    local reloads
    reloads = reload.create(16, function(names, over)
      begun = begun + 1
      if begun == 1 then reload.mark(reloads, "a.example") end
      over(names[1], false)
    end, function() done[#done + 1] = begun end)
    reload.mark(reloads, "a.example")
    wait_for(function() return #done > 0 end)
    assert.same({ 2 }, done)
  end)
end)
