local round_robin = require("resty.switchboard.balance.round_robin")

local function peers(weights)
  local list = {}
  for i, weight in ipairs(weights) do
    list[i] = { address = "10.0.0." .. i, port = 80, tls = false, weight = weight, state = { identity = tostring(i), in_flight = 0 } }
  end
  return list
end

local function picks(ring, count)
  local words = {}
  for i = 1, count do words[i] = round_robin.next_peer(ring).state.identity end
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
    local long = round_robin.create(peers { 1000, 500, 251 }, 0)
    assert.is_nil(long.round)
    assert.equal(picks(short, 7), picks(long, 7))
  end)

  it("gives each its weight exactly, over every full round, wherever it begins", function()
    math.randomseed(5)
    for _ = 1, 200 do
      local weights, total = {}, 0
      for i = 1, math.random(1, 12) do
        weights[i] = math.random(1, 60)
        total = total + weights[i]
      end
      local ring = round_robin.create(peers(weights), math.random(0, 1000))
      local counts = {}
      for _ = 1, total * 3 do
        local identity = tonumber(round_robin.next_peer(ring).state.identity)
        counts[identity] = (counts[identity] or 0) + 1
      end
      for i, weight in ipairs(weights) do assert.equal(weight * 3, counts[i]) end
    end
  end)
end)
