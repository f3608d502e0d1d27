local round_robin = require("resty.switchboard.balance.round_robin")
local make = require("balance.peers")
local peers = make.make

local function picks(ring, count)
  local words = {}
  for i = 1, count do words[i] = ring.pick(ring, 0, {}).index end
  return table.concat(words)
end

describe("round-robin", function()
  it("goes in turn among equals", function()
    assert.equal("123123", picks(round_robin.create(peers { 2, 2, 2 }, 0), 6))
  end)

  it("begins where it is told", function()
    assert.equal("3123", picks(round_robin.create(peers { 1, 1, 1 }, 5), 4))
  end)

  it("spreads a heavy peer's turns, as nginx does", function()
    assert.equal("1121311", picks(round_robin.create(peers { 5, 1, 1 }, 0), 7))
  end)

  it("keeps a short round and works a long one out, with the same turns", function()
    local short = round_robin.create(peers { 100, 50, 25 }, 0)
    assert.equal(7, short.turns)
    local longer = round_robin.create(peers { 1000, 500, 251 }, 0)
    assert.equal(1751, longer.turns)
    local endless = round_robin.create(peers { 40000, 20000, 10001 }, 0)
    assert.is_truthy(endless.timetable)
    local first = picks(short, 7)
    assert.equal(first, picks(longer, 7))
    assert.equal(first, picks(endless, 7))
  end)

  it("gives each its weight exactly, over every full round, wherever it begins", function()
    math.randomseed(5)
    for _ = 1, 200 do
      local weights, total = {}, 0
      for i = 1, math.random(1, 12) do
        weights[i] = math.random(1, 90)
        total = total + weights[i]
      end
      local ring = round_robin.create(peers(weights), math.random(0, 1000))
      local counts = {}
      for _ = 1, total * 3 do
        local index = ring.pick(ring, 0, {}).index
        counts[index] = (counts[index] or 0) + 1
      end
      for i, weight in ipairs(weights) do assert.equal(weight * 3, counts[i]) end
    end
  end)

  it("is never a turn away from anybody's share, however long the round", function()
    local weights, total = { 65535, 32768, 9973, 101, 1 }, 0
    for _, weight in ipairs(weights) do total = total + weight end
    local ring = round_robin.create(peers(weights), 0)
    local counts = { 0, 0, 0, 0, 0 }
    for turn = 1, total do
      local index = ring.pick(ring, 0, {}).index
      counts[index] = counts[index] + 1
      if turn % 97 == 0 then
        for i, weight in ipairs(weights) do assert.is_true(math.abs(counts[i] - turn * weight / total) <= 2, turn .. " " .. i) end
      end
    end
    assert.same(weights, counts)
  end)

  it("spreads 100,000 requests of 16 workers over 50 instances within 2 %, while instances come and go", function()
    math.randomseed(16)
    local all = make.even(50)
    local rings = {}
    local function set(list, previous)
      for worker = 0, 15 do
        local start = previous and rings[worker].position or math.floor(worker / 16 * #list) + 7
        rings[worker] = round_robin.create(list, start)
      end
    end
    local counts = {}
    set(all)
    for event = 1, 10 do
      -- Scaled down to 45 and up again: only what is there all the time is compared.
      local some = {}
      for i = 1, event % 2 == 0 and 50 or 45 do some[i] = all[i] end
      set(some, true)
      for _ = 1, 10000 do
        local ring = rings[math.random(0, 15)]
        local index = ring.pick(ring, 0, {}).index
        counts[index] = (counts[index] or 0) + 1
      end
    end
    assert.is_true(make.max_min(counts, 45) <= 1.02, make.max_min(counts, 45))
  end)
end)
