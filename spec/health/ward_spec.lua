-- Who is out of a worker's pools: heard of from others, or found out when words were missed.

local changes = require("resty.switchboard.route.changes")
local create_cache = require("resty.switchboard.route.worker_cache").create
local illness = require("resty.switchboard.health.illness")
local instances = require("resty.switchboard.balance.instances")
local look_at_generation = require("resty.switchboard.route.worker_cache").look_at_generation
local verdict = require("resty.switchboard.health.verdict")
local ward = require("resty.switchboard.health.ward")

local state = ngx.shared.switchboard_state
local next_host = 0
local kept = {}

local function instance()
  next_host = next_host + 1
  -- Nobody listens on port 1.
  local one = instances.state_of(("http://127.0.9.%d:1"):format(next_host))
  kept[#kept + 1] = one
  return one
end

local function wait_for(condition)
  for _ = 1, 4000 do
    if condition() then return end
    ngx.sleep(0.001)
  end
  error("waited in vain")
end

-- What another worker does.
local function eject_elsewhere(one, seconds, reason)
  reason = reason or "5xx"
  for _ = 1, 3 do verdict.note_failure(state, one.identity, reason, 1, ngx.now(), 0.5) end
  if seconds then state:set("h:out:" .. one.identity, ("%.3f %s"):format(ngx.now() + seconds, reason), seconds) end
  changes.publish(state, ward.MARK .. one.identity)
end

describe("a worker's ward", function()
  local cache

  before_each(function()
    state:flush_all()
    ward.start(state)
    cache = create_cache(state, 100, 1, false, ward.hear)
  end)

  it("hears of another worker's ejection with its next look at the generation", function()
    local one, other = instance(), instance()
    eject_elsewhere(one)
    look_at_generation(cache, ngx.now())
    assert.is_false(one.usable)
    assert.is_true(other.usable)
  end)

  it("finds out what it has not heard of, however much has changed meanwhile", function()
    local one, other = instance(), instance()
    eject_elsewhere(one)
    for i = 1, 2000 do changes.publish(state, "h" .. i .. ".example") end
    look_at_generation(cache, ngx.now())
    assert.is_false(one.usable)
    assert.is_true(other.usable)
  end)

  it("has it tried by one request when its time is over, and takes it back when that answers", function()
    local one = instance()
    eject_elsewhere(one, 0.05)
    look_at_generation(cache, ngx.now())
    assert.equal(0, one.on_trial_since)
    wait_for(function() return one.on_trial_since > 0 end)
    assert.is_false(one.usable)
    assert.is_true(ward.claim(one))
    -- Another worker has it on trial too, and a request there.
    assert.is_false(ward.claim(one))
    assert.is_true(one.suspect)
    ward.succeed(one)
    wait_for(function() return one.usable end)
  end)

  it("goes past it when another worker's request tries it", function()
    local one = instance()
    eject_elsewhere(one, 0.05)
    look_at_generation(cache, ngx.now())
    wait_for(function() return one.on_trial_since > 0 end)
    verdict.begin_trial(state, one.identity)
    wait_for(function() return one.on_trial_since == 0 end)
    assert.is_false(one.usable)
  end)

  it("takes it back untried when nobody asks", function()
    local one = instance()
    eject_elsewhere(one, 0.05)
    look_at_generation(cache, ngx.now())
    wait_for(function() return one.usable end)
    assert.equal(verdict.PASSED, verdict.trial_of(state, one.identity))
  end)

  it("has one out whose check fails, whatever its time, until it passes", function()
    local one = instance()
    illness.fall_ill(one.identity, "http:/health: status 503")
    look_at_generation(cache, ngx.now())
    assert.is_false(one.usable)
    assert.equal("http:/health: status 503", illness.illness_of(one.identity))
    assert.equal("check_failed", verdict.ejection_of(state, one.identity).reason)
    -- Failed tries and probes do not end it.
    assert.is_false(illness.awaits_check(one.identity, true))
    illness.fall_ill(one.identity, "http:/health: status 500")
    assert.equal("http:/health: status 500", illness.illness_of(one.identity))
    illness.get_well(one.identity, "passes")
    assert.is_nil(illness.illness_of(one.identity))
    wait_for(function() return one.usable end)
    assert.equal(verdict.PASSED, verdict.trial_of(state, one.identity))
  end)

  it("leaves to an operator whom he has taken out", function()
    local one = instance()
    ward.eject(one.identity, 100)
    illness.fall_ill(one.identity, "tcp: refused")
    illness.get_well(one.identity, "passes")
    assert.equal("by_hand", verdict.ejection_of(state, one.identity).reason)
    assert.is_false(illness.awaits_check(one.identity, true))
  end)

  it("has one tried early that is out for its errors, when a check by request passes", function()
    local one = instance()
    eject_elsewhere(one, 100)
    look_at_generation(cache, ngx.now())
    assert.is_false(illness.awaits_check(one.identity, false))
    assert.is_true(illness.awaits_check(one.identity, true))
    illness.hear_check(one.identity)
    wait_for(function() return one.on_trial_since > 0 end)
    assert.is_false(one.usable)
  end)

  it("has one tried early that takes connections, unless it is out for how it answers", function()
    local connects = instances.state_of("http://127.0.0.1:9002")
    local silent = instances.state_of("http://127.0.0.1:9003")
    kept[#kept + 1], kept[#kept + 2] = connects, silent
    eject_elsewhere(connects, 100, "connect_failed")
    eject_elsewhere(silent, 100, "read_timeout")
    look_at_generation(cache, ngx.now())
    wait_for(function() return connects.on_trial_since > 0 end)
    ngx.sleep(0.05)
    assert.equal("read_timeout", verdict.ejection_of(state, silent.identity).reason)
    assert.equal(0, silent.on_trial_since)
    -- Nor does a check that only connects; one that is answered does.
    assert.is_false(illness.awaits_check(silent.identity, false))
    assert.is_true(illness.awaits_check(silent.identity, true))
    illness.hear_check(silent.identity)
    wait_for(function() return silent.on_trial_since > 0 end)
  end)

  it("has one that others call dead out when it takes no connection, not else", function()
    local one, living = instance(), instances.state_of("http://127.0.0.1:9001")
    kept[#kept + 1] = living
    illness.hear_mark(living.identity)
    illness.hear_mark(one.identity)
    wait_for(function() return not one.usable end)
    assert.equal("marked_dead", verdict.ejection_of(state, one.identity).reason)
    ngx.sleep(0.05)
    assert.is_true(living.usable)
  end)
end)
