-- What every algorithm promises, and what each promises on top of it.

local algorithms = require("resty.switchboard.balance.algorithms").ALGORITHMS
local dice = require("resty.switchboard.balance.dice")
local latency = require("resty.switchboard.balance.latency")
local peers = require("balance.peers")

local NONE = {}
local NAMES = { "round_robin", "least_conn", "ewma", "hash", "random" }

local function create(name, list, start) return algorithms[name](list, start or 0, 0) end

--- Picks with a new key each time, as requests of as many users would.
local function picks(picker)
  return function(i) return picker.pick(picker, ngx.crc32_short("user " .. i), NONE) end
end

describe("every algorithm", function()
  it("is one of these", function()
    local known = {}
    for name in pairs(algorithms) do known[#known + 1] = name end
    table.sort(known)
    table.sort(NAMES)
    assert.same(NAMES, known)
  end)

  for _, name in ipairs(NAMES) do
    describe(name, function()
      before_each(function() dice.seed(7) end)

      it("picks the only peer there is", function()
        local list = peers.even(1)
        local picker = create(name, list, 3)
        for i = 1, 10 do assert.equal(list[1], picks(picker)(i)) end
      end)

      it("picks each of its peers and nobody else", function()
        for _, count in ipairs { 2, 3, 17, 1000 } do
          local list = peers.even(count)
          local picker = create(name, list)
          local counts = peers.tally(picks(picker), count * 60)
          for i = 1, count do assert.is_true((counts[i] or 0) > 0, name .. " never picked " .. i .. " of " .. count) end
          assert.equal(count, picker.count)
        end
      end)

      it("gives equals as many within what chance allows", function()
        local list = peers.even(10)
        local counts = peers.tally(picks(create(name, list)), 20000)
        -- 2,000 each, standard deviation 42; the parts of the hash circle differ by more (160 points: 8 %).
        local allowed = name == "hash" and 600 or 210
        for i = 1, 10 do assert.is_true(math.abs(counts[i] - 2000) < allowed, name .. " " .. i .. ": " .. counts[i]) end
      end)

      it("gives by weight while nothing else tells peers apart", function()
        local list = peers.make { 1, 2, 5, 8 }
        local counts = peers.tally(picks(create(name, list)), 16000)
        if name == "ewma" then
          -- Weight divides the load too: the heavy one gets more than its part.
          assert.is_true(counts[1] < counts[2] and counts[2] < counts[3] and counts[3] < counts[4])
        else
          local allowed = name == "hash" and 0.25 or 0.12
          for i, weight in ipairs { 1, 2, 5, 8 } do
            local part = counts[i] / (weight * 1000)
            assert.is_true(math.abs(part - 1) < allowed, ("%s, weight %d: %.2f"):format(name, weight, part))
          end
        end
      end)

      it("takes weights of up to 65,535 and 10,000 peers", function()
        local list = peers.make { 65535, 1, 65534, 3 }
        local picker = create(name, list)
        for i = 1, 1000 do assert.is_truthy(picks(picker)(i).index) end
        local many = create(name, peers.even(10000), 12345)
        for i = 1, 1000 do assert.is_truthy(picks(many)(i).index) end
      end)

      it("allocates nothing", function()
        for _, weights in ipairs { { 1, 1, 1 }, { 3, 2, 1 }, { 401, 1009, 77 } } do
          local list = peers.make(weights)
          for _, peer in ipairs(list) do latency.note_answer(peer.state, 0.01, ngx.now()) end
          local picker = create(name, list)
          local pick = picker.pick
          local function run()
            for i = 1, 20000 do pick(picker, i * 214013, NONE) end
          end
          local grown = peers.garbage_of(run)
          -- Less than a twentieth of a byte a pick.
          assert.is_true(grown < 1, name .. " left " .. grown .. " kB")
        end
      end)

      it("does the same again with the same seed", function()
        local list = peers.make { 3, 1, 4, 1, 5 }
        local function run()
          dice.seed(99)
          local words = {}
          local picker = create(name, list, 2)
          for i = 1, 200 do words[i] = picks(picker)(i).index end
          return table.concat(words, " ")
        end
        assert.equal(run(), run())
      end)
    end)
  end
end)

describe("the generator behind random choices", function()
  it("throws every number as often, whatever the seed", function()
    for _, seed in ipairs { 0, 1, -1, 12345, 0x5bd1e995, 2147483647 } do
      dice.seed(seed)
      local counts = {}
      for i = 0, 9 do counts[i] = 0 end
      for _ = 1, 100000 do
        local throw = dice.throw_below(10)
        counts[throw] = counts[throw] + 1
      end
      local chi = 0
      for i = 0, 9 do chi = chi + (counts[i] - 10000) ^ 2 / 10000 end
      -- 9 degrees of freedom: above 33.7 once in 10,000 times.
      assert.is_true(chi < 33.7, "seed " .. seed .. ": " .. chi)
    end
  end)
end)

describe("least_conn", function()
  --- Requests of random length come and go; how many run on each at the end of every step, summed.
  local function run(list, steps, at_once)
    dice.seed(3)
    local picker = create("least_conn", list)
    local running, sums = {}, {}
    for i = 1, #list do sums[i] = 0 end
    for _ = 1, steps do
      if #running >= at_once then
        local peer = table.remove(running, dice.throw_below(#running) + 1)
        peer.state.in_flight = peer.state.in_flight - 1
      end
      local peer = picker.pick(picker, 0, NONE)
      peer.state.in_flight = peer.state.in_flight + 1
      running[#running + 1] = peer
      for i, each in ipairs(list) do sums[i] = sums[i] + each.state.in_flight end
    end
    return sums
  end

  it("keeps running requests even", function()
    local sums = run(peers.even(10), 20000, 200)
    assert.is_true(peers.max_min(sums, 10) < 1.05, peers.max_min(sums, 10))
  end)

  it("keeps running requests in proportion to the weights", function()
    local list = peers.make { 1, 2, 4, 1 }
    local sums = run(list, 20000, 240)
    for i, weight in ipairs { 1, 2, 4, 1 } do sums[i] = sums[i] / weight end
    assert.is_true(peers.max_min(sums, 4) < 1.15, peers.max_min(sums, 4))
  end)

  it("goes past a peer whose requests do not end", function()
    local list = peers.even(10)
    dice.seed(4)
    list[1].state.in_flight = 50
    local picker = create("least_conn", list)
    assert.is_nil(peers.tally(picks(picker), 5000)[1])
  end)
end)

describe("ewma", function()
  local NOW

  before_each(function()
    dice.seed(11)
    NOW = ngx.now()
  end)

  it("prefers the quick one, and the idle one among equals", function()
    local list = peers.even(2)
    latency.note_answer(list[1].state, 0.1, NOW)
    latency.note_answer(list[2].state, 0.01, NOW)
    local picker = create("ewma", list)
    assert.same({ [2] = 100 }, peers.tally(picks(picker), 100))
    list[2].state.in_flight = 20
    assert.same({ [1] = 100 }, peers.tally(picks(picker), 100))
  end)

  it("sends one request to find out about a peer that nobody has measured", function()
    local list = peers.even(2)
    latency.note_answer(list[1].state, 0.01, NOW)
    local picker = create("ewma", list)
    assert.equal(2, picks(picker)(1).index)
    list[2].state.in_flight = 1
    assert.same({ [1] = 100 }, peers.tally(picks(picker), 100))
  end)

  it("takes a slow answer at once, and quick ones bit by bit", function()
    local state = peers.even(1)[1].state
    latency.note_answer(state, 0.01, 1000)
    latency.note_answer(state, 1, 1000)
    assert.equal(1, latency.latency_at(state, 1000))
    latency.note_answer(state, 0.01, 1001)
    assert.is_true(state.latency > 0.8 and state.latency < 1)
    for second = 2, 60 do latency.note_answer(state, 0.01, 1000 + second) end
    assert.is_true(state.latency < 0.02)
  end)

  it("fades to 1/e in ten seconds without news", function()
    local state = peers.even(1)[1].state
    latency.note_answer(state, 1, 1000)
    assert.is_true(math.abs(latency.latency_at(state, 1010) - math.exp(-1)) < 1e-9)
  end)

  it("keeps away from one of ten that fails at once", function()
    local list = peers.even(10)
    local picker = create("ewma", list)
    local failed = 0
    for _ = 1, 10000 do
      local peer = picker.pick(picker, 0, NONE)
      if peer.index == 1 then
        failed = failed + 1
        latency.note_failure(peer.state, NOW)
      else
        latency.note_answer(peer.state, 0.01, NOW)
      end
    end
    assert.is_true(failed <= 5, failed)
  end)
end)
