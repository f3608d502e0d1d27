local algorithms = require("resty.switchboard.balance.algorithms").ALGORITHMS
local dice = require("resty.switchboard.balance.dice")
local foresee = require("resty.switchboard.balance.foresee").foresee
local instances = require("resty.switchboard.balance.instances")
local peers = require("balance.peers")
local pools = require("resty.switchboard.balance.pool")

local NONE = {}

local function create(list, options)
  return pools.create(list, {
    make = algorithms[options.balance], bound = options.bound or 0, slow_start = options.slow_start or 0,
  }, 0, ngx.now())
end

--- The indexes of `count` picks; before each it is foreseen `looks` times.
local function picks(pool, count, looks)
  local found = {}
  for i = 1, count do
    local key = ngx.crc32_short("user " .. i)
    local seen = {}
    for look = 1, looks do
      seen[look] = foresee(pool, function() return pools.pick(pool, key, NONE) end).index
    end
    found[i] = pools.pick(pool, key, NONE).index
    for look = 1, looks do assert.equal(found[i], seen[look]) end
  end
  return found
end

for _, balance in ipairs { "round_robin", "least_conn", "ewma", "hash", "random" } do
  for what, weights in pairs { ["equal weights"] = { 1, 1, 1, 1, 1 }, ["a long round"] = { 1, 7, 301, 40, 97 } } do
    describe("what " .. balance .. " gives with " .. what, function()
      local function run(looks, options)
        options.balance = balance
        dice.seed(33)
        local list = peers.make(weights)
        for i, peer in ipairs(list) do
          peer.state.in_flight = i % 3
          peer.address = "10.0.0." .. i
        end
        return list, create(list, options)
      end

      it("is foreseen, and comes as if nobody had looked", function()
        local _, pool = run(0, {})
        local untouched = picks(pool, 300, 0)
        _, pool = run(3, {})
        assert.same(untouched, picks(pool, 300, 3))
      end)

      it("is foreseen after instances came and went", function()
        local list, pool = run(2, {})
        for round = 1, 5 do
          instances.set_usable(list[round].state, false, ngx.now())
          picks(pool, 20, 2)
          instances.set_usable(list[round].state, true, ngx.now())
          picks(pool, 20, 2)
        end
      end)

      it("is nobody's trial", function()
        local list, pool = run(0, {})
        instances.set_usable(list[1].state, false, ngx.now())
        instances.set_on_trial(list[1].state, ngx.now())
        for i = 1, 20 do
          assert.are_not.equal(1, foresee(pool, function() return pools.pick(pool, i * 21401333, NONE) end).index)
        end
        assert.is_true(list[1].state.on_trial_since > 0)
        assert.equal(list[1], pool.trial)
      end)

      it("is foreseen while instances warm up", function()
        local list, pool = run(2, { slow_start = 60 })
        list[2].joined_at = ngx.now() - 15
        instances.set_usable(list[1].state, false, ngx.now())
        picks(pool, 200, 2)
        instances.set_usable(list[1].state, true, ngx.now())
      end)
    end)
  end
end

describe("what a bounded hash gives", function()
  it("is foreseen", function()
    local list = peers.even(5)
    local pool = create(list, { balance = "hash", bound = 1.25 })
    local found = {}
    for i = 1, 100 do
      local key = ngx.crc32_short("user " .. i)
      local seen = foresee(pool, function() return pools.pick(pool, key, NONE) end)
      found[i] = pools.pick(pool, key, NONE)
      assert.equal(seen.index, found[i].index)
      found[i].state.in_flight = found[i].state.in_flight + 1
    end
  end)
end)
