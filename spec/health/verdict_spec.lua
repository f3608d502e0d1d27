local verdict = require("resty.switchboard.health.verdict")
local state = ngx.shared.switchboard_state
local A = "http://10.0.0.1:80"

local function fail(asked, now, chance)
  return verdict.note_failure(state, A, "connect_failed", asked or 1, now or ngx.now(), chance or 0.5)
end

local function wait_for(condition)
  for _ = 1, 4000 do
    if condition() then return end
    ngx.sleep(0.001)
  end
  error("waited in vain")
end

describe("what a node knows of an instance that fails", function()
  before_each(function() state:flush_all() end)

  it("takes it out after three failures in a row, once, for a second", function()
    local now = ngx.now()
    assert.is_false(fail())
    assert.is_false(fail())
    assert.is_nil(verdict.ejection_of(state, A))
    assert.is_true(fail())
    assert.is_false(fail())
    local ejection = verdict.ejection_of(state, A)
    assert.equal("connect_failed", ejection.reason)
    assert.is_true(math.abs(ejection["until"] - now - 1) < 0.01)
    assert.is_nil(verdict.ejection_of(state, "http://10.0.0.2:80"))
  end)

  it("forgets failures in a row when it answers", function()
    for _ = 1, 5 do
      assert.is_false(fail(5))
      assert.is_false(fail(5))
      verdict.note_success(state, A)
    end
  end)

  it("takes it out when half of at least ten requests fail, and answers come in between", function()
    local out = 0
    for _ = 1, 5 do
      if fail(2) then out = out + 1 end
      verdict.note_success(state, A)
    end
    assert.equal(1, out)
  end)

  it("leaves it in when fewer fail", function()
    for _ = 1, 20 do
      assert.is_false(fail(3))
      verdict.note_success(state, A)
    end
  end)

  it("takes it out for twice as long each time, half a minute at most, each time a little different", function()
    local times = {}
    for i = 1, 8 do
      local now = ngx.now()
      -- After the first time one failure is enough.
      for _ = 1, i == 1 and 3 or 1 do fail() end
      times[i] = math.floor(verdict.ejection_of(state, A)["until"] - now + 0.5)
      verdict.pardon(state, A)
    end
    assert.same({ 1, 2, 4, 8, 16, 30, 30, 30 }, times)
    state:flush_all()
    for _, chance in ipairs { 0, 1 } do
      for _ = 1, 3 do fail(1, 1000, chance) end
      assert.is_true(math.abs(verdict.ejection_of(state, A)["until"] - 1000 - (chance == 0 and 0.9 or 1.1)) < 0.002)
      state:flush_all()
    end
  end)

  it("ends an ejection by itself", function()
    for _ = 1, 3 do fail() end
    wait_for(function() return verdict.ejection_of(state, A) == nil end)
  end)

  it("has one request try it, another when nothing came of that, and none once it went well", function()
    for _ = 1, 3 do fail() end
    verdict.pardon(state, A)
    assert.is_nil(verdict.trial_of(state, A))
    assert.is_true(verdict.begin_trial(state, A))
    assert.is_false(verdict.begin_trial(state, A))
    assert.equal(verdict.RUNNING, verdict.trial_of(state, A))
    wait_for(function() return verdict.trial_of(state, A) == nil end)
    assert.is_true(verdict.begin_trial(state, A))
    assert.is_true(verdict.note_success(state, A))
    assert.equal(verdict.PASSED, verdict.trial_of(state, A))
    assert.is_false(verdict.begin_trial(state, A))
    assert.is_false(verdict.note_success(state, A))
  end)

  it("concludes nothing from who answers while it is out: one failure more is still enough", function()
    for _ = 1, 3 do fail() end
    assert.is_false(verdict.note_success(state, A))
    verdict.pardon(state, A)
    assert.is_nil(verdict.trial_of(state, A))
    assert.is_true(verdict.begin_trial(state, A))
    assert.is_true(fail())
  end)

  it("takes it back without a trial when no request came to be one", function()
    assert.is_true(verdict.waive_trial(state, A))
    assert.is_false(verdict.waive_trial(state, A))
    assert.equal(verdict.PASSED, verdict.trial_of(state, A))
  end)

  it("has one worker probe it, once a second", function()
    assert.is_true(verdict.may_probe(state, A))
    assert.is_false(verdict.may_probe(state, A))
    assert.is_true(verdict.may_probe(state, "http://10.0.0.2:80"))
    wait_for(function() return verdict.may_probe(state, A) end)
  end)
end)
