local algorithms = require("resty.switchboard.balance.algorithms").ALGORITHMS
local dice = require("resty.switchboard.balance.dice")
local instances = require("resty.switchboard.balance.instances")
local peers = require("balance.peers")
local free = require("resty.switchboard.balance.free")
local pools = require("resty.switchboard.balance.pool")
local slow_start = require("resty.switchboard.balance.slow_start")

local NONE = {}

local function create(list, options)
  options = options or {}
  return pools.create(list, {
    make = algorithms[options.balance or "round_robin"], bound = 0, slow_start = options.slow_start or 0, zone = options.zone,
  }, 0, ngx.now())
end

local function tally(pool, count)
  return peers.tally(function(i) return pools.pick(pool, ngx.crc32_short("user " .. i), NONE) end, count)
end

--- The indexes of those that get anything, in order.
local function who(pool)
  local found = {}
  for index in pairs(tally(pool, 2000)) do found[#found + 1] = index end
  table.sort(found)
  return found
end

local function set_usable(peer, usable) instances.set_usable(peer.state, usable, ngx.now()) end

for _, balance in ipairs { "round_robin", "least_conn", "ewma", "hash", "random" } do
  describe("a pool by " .. balance, function()
    before_each(function() dice.seed(21) end)

    it("leaves out who is not usable, and takes it back", function()
      local list = peers.even(4)
      local pool = create(list, { balance = balance })
      assert.same({ 1, 2, 3, 4 }, who(pool))
      set_usable(list[2], false)
      assert.same({ 1, 3, 4 }, who(pool))
      set_usable(list[2], true)
      assert.same({ 1, 2, 3, 4 }, who(pool))
    end)

    it("uses all when less than half are usable", function()
      local list = peers.even(5)
      local pool = create(list, { balance = balance })
      set_usable(list[1], false)
      set_usable(list[2], false)
      assert.same({ 3, 4, 5 }, who(pool))
      set_usable(list[3], false)
      assert.same({ 1, 2, 3, 4, 5 }, who(pool))
      set_usable(list[1], true)
      assert.same({ 1, 4, 5 }, who(pool))
    end)

    it("turns to backups only when no other is usable", function()
      local list = peers.make({ 1, 1, 1, 1 }, function(i) return { backup = i > 2 } end)
      local pool = create(list, { balance = balance })
      assert.same({ 1, 2 }, who(pool))
      set_usable(list[1], false)
      assert.same({ 2 }, who(pool))
      set_usable(list[2], false)
      assert.same({ 3, 4 }, who(pool))
      set_usable(list[3], false)
      assert.same({ 4 }, who(pool))
      set_usable(list[4], false)
      assert.same({ 1, 2 }, who(pool))
      set_usable(list[1], true)
      assert.same({ 1 }, who(pool))
    end)

    it("uses backups where there is nothing else", function()
      assert.same({ 1, 2 }, who(create(peers.make({ 1, 1 }, function() return { backup = true } end), { balance = balance })))
    end)

    it("prefers its own zone while half of it is usable", function()
      local list = peers.make({ 1, 1, 1, 1 }, function(i) return { zone = i <= 2 and "a" or "b" } end)
      local pool = create(list, { balance = balance, zone = "a" })
      assert.same({ 1, 2 }, who(pool))
      set_usable(list[1], false)
      assert.same({ 2 }, who(pool))
      set_usable(list[2], false)
      assert.same({ 3, 4 }, who(pool))
      set_usable(list[1], true)
      set_usable(list[2], true)
      assert.same({ 1, 2 }, who(pool))
      assert.same({ 1, 2, 3, 4 }, who(create(list, { balance = balance, zone = "c" })))
      assert.same({ 1, 2, 3, 4 }, who(create(list, { balance = balance })))
    end)

    it("gives nothing to who rests", function()
      local list = peers.make({ 1, 0, 1 }, function(i) return { resting = i > 1 } end)
      assert.same({ 1 }, who(create(list, { balance = balance })))
    end)

    it("tries each once, backups and who is not usable last", function()
      local list = peers.make({ 1, 1, 1, 1, 1 }, function(i) return { backup = i > 3 } end)
      local pool = create(list, { balance = balance })
      set_usable(list[1], false)
      set_usable(list[5], false)
      for _ = 1, 50 do
        local tried = {}
        for place = 1, 5 do
          local peer = free.pick_untried(pool, 77, tried)
          for _, other in ipairs(tried) do assert.are_not.equal(other, peer) end
          tried[place] = peer
        end
        assert.is_true(tried[1].index + tried[2].index == 5)
        assert.equal(4, tried[3].index)
        assert.equal(1, tried[4].index)
        assert.equal(5, tried[5].index)
        assert.is_nil(free.pick_untried(pool, 77, tried))
      end
    end)

    it("lets one request try who is out and on trial", function()
      local list = peers.even(5)
      local pool = create(list, { balance = balance })
      set_usable(list[2], false)
      assert.same({ 1, 3, 4, 5 }, who(pool))
      for _ = 1, 2 do
        instances.set_on_trial(list[2].state, ngx.now())
        assert.equal(1, tally(pool, 2000)[2])
        assert.equal(0, list[2].state.on_trial_since)
        assert.equal(instances.usability.version, pool.seen)
      end
      -- Not one that has failed elsewhere, and not where all are used anyway.
      instances.set_on_trial(list[2].state, ngx.now())
      for i = 1, 200 do assert.are_not.equal(2, pools.pick(pool, i * 21401333, { list[1] }).index) end
      for _, index in ipairs { 1, 3 } do set_usable(list[index], false) end
      assert.is_true(tally(pool, 2000)[2] > 100)
    end)

    it("has one of its own tried while backups stand in for all of them", function()
      local list = peers.make({ 1, 1, 1 }, function(i) return { backup = i > 1 } end)
      local pool = create(list, { balance = balance })
      set_usable(list[1], false)
      instances.set_on_trial(list[1].state, ngx.now())
      -- A hash over the backups has no key for it.
      assert.equal(balance ~= "hash" and 1 or nil, tally(pool, 200)[1])
      instances.set_on_trial(list[1].state, 0)
      set_usable(list[3], false)
      instances.set_on_trial(list[3].state, ngx.now())
      assert.equal(1, tally(pool, 200)[3])
    end)

    it("goes to whoever has a place, while anybody has", function()
      -- Of 6 peers: two backups, one of another zone, one that is out, and in the end one that has places.
      local list = peers.make({ 1, 1, 1, 1, 1, 1 }, function(i) return { backup = i > 4, zone = i == 4 and "b" or "a" } end)
      local pool = create(list, { balance = balance, zone = "a" })
      set_usable(list[1], false)
      local places
      local function take(wish, peer)
        assert.equal("wish", wish)
        if places[peer.index] == 0 then return false end
        places[peer.index] = places[peer.index] - 1
        return true
      end
      for _ = 1, 20 do
        places = { 5, 5, 5, 5, 5, 5 }
        local order = {}
        for i = 1, 16 do
          local peer = free.pick_fitting(pool, 77, take, "wish")
          order[i] = peer and peer.index or 0
        end
        -- Those of the zone fill up first; nobody is sent to who is out, or to a backup.
        assert.same({ 5, 0, 0, 0, 5, 5 }, places)
        for i = 1, 10 do assert.is_true(order[i] == 2 or order[i] == 3, table.concat(order, " ")) end
        for i = 11, 15 do assert.equal(4, order[i]) end
        assert.equal(0, order[16])
      end
    end)

    it("finds the one of a thousand that has a place, and in panic one that is out", function()
      local list = peers.even(1000)
      local pool = create(list, { balance = balance })
      local function fits(wish, peer) return peer.index == wish end
      for _, index in ipairs { 1, 500, 1000 } do
        assert.equal(index, free.pick_fitting(pool, index * 214013, fits, index).index)
        assert.equal(index, free.pick_untried(pool, index * 214013, { list[2] }, fits, index).index)
      end
      for i = 1, 600 do set_usable(list[i], false) end
      assert.equal(1, free.pick_fitting(pool, 77, fits, 1).index)
    end)

    it("lets a new instance have a tenth of its share at first, and more by and by", function()
      local list = peers.even(5)
      local now = ngx.now()
      list[1].joined_at = now
      local pool = create(list, { balance = balance, slow_start = 1000 })
      local whole
      for _, step in ipairs { { 1001, 1 }, { 0, 0.1 }, { 50, 0.1 }, { 500, 0.5 }, { 750, 0.75 }, { 1001, 1 } } do
        list[1].joined_at = now - step[1]
        pool.tick, pool.seen = 0, 0
        dice.seed(5)
        local counts = tally(pool, 20000)
        whole = whole or counts[1]
        -- The others have what it lets pass.
        assert.is_true(math.abs(counts[1] / whole - step[2]) < 0.1, step[1] .. " s: " .. counts[1])
        if balance ~= "hash" then assert.is_true(peers.max_min({ counts[2], counts[3], counts[4], counts[5] }, 4) < 1.1) end
      end
      assert.is_nil(pool.settled)
      assert.equal(instances.usability.version, pool.seen)
    end)

    it("lets a recovered instance warm up too", function()
      local list = peers.even(5)
      local pool = create(list, { balance = balance, slow_start = 1000 })
      set_usable(list[1], false)
      who(pool)
      set_usable(list[1], true)
      local counts = tally(pool, 5000)
      assert.is_true(counts[1] > 40 and counts[1] < 180, counts[1])
      local without = create(list, { balance = balance })
      assert.is_true(tally(without, 5000)[1] > 700)
    end)

    it("lets nobody warm up while all do, and gives nothing to who is out", function()
      local list = peers.even(4)
      local pool = create(list, { balance = balance, slow_start = 1000 })
      for _, peer in ipairs(list) do set_usable(peer, false) end
      who(pool)
      for i = 2, 4 do set_usable(list[i], true) end
      local counts = tally(pool, 6000)
      assert.is_nil(counts[1])
      assert.is_true(peers.max_min({ counts[2], counts[3], counts[4] }, 3) < 2)
      -- One that was there all the time takes what the others let pass.
      list[4].state.recovered_at = 0
      set_usable(list[1], true)
      counts = tally(pool, 6000)
      assert.is_true(counts[4] > 2 * (counts[1] + counts[2] + counts[3]), counts[4])
    end)

    it("allocates nothing while nothing changes, also with somebody out", function()
      local list = peers.even(20)
      local pool = create(list, { balance = balance })
      set_usable(list[3], false)
      local function run()
        for i = 1, 20000 do pools.pick(pool, i * 214013, NONE) end
      end
      local grown = peers.garbage_of(run)
      -- Less than a twentieth of a byte a pick.
      assert.is_true(grown < 1, grown .. " kB")
    end)
  end)
end

describe("who is new", function()
  it("is whoever was not in the route before it changed", function()
    local old = peers.even(3)
    local new = peers.even(2)
    local list = { old[1], old[2], new[1] }
    slow_start.note_new(list, old, 1000)
    assert.same({ 0, 0, 1000 }, { list[1].joined_at, list[2].joined_at, list[3].joined_at })
  end)

  it("goes on warming up when the route changes again", function()
    local old = peers.even(2)
    old[2].joined_at, old[2].credit = 990, 0.4
    local again = peers.even(1)[1]
    again.state = old[2].state
    slow_start.note_new({ old[1], again }, old, 1000)
    assert.same({ 990, 0.4 }, { again.joined_at, again.credit })
  end)

  it("is nobody while all are, or while nothing is known of before", function()
    local list = peers.even(3)
    slow_start.note_new(list, peers.even(3), 1000)
    slow_start.note_new(list, nil, 1000)
    for _, peer in ipairs(list) do assert.equal(0, peer.joined_at) end
  end)
end)

describe("any pool, whatever becomes of its instances", function()
  --- Who may be picked, said another way than the pool works it out.
  local function allowed(list, zone)
    local function all(which)
      local found = {}
      for _, peer in ipairs(list) do if not peer.resting and which(peer) then found[#found + 1] = peer end end
      return found
    end
    local function weight(group, usable)
      local sum = 0
      for _, peer in ipairs(group) do if not usable or peer.state.usable then sum = sum + peer.weight end end
      return sum
    end
    local near = all(function(peer) return not peer.backup and zone and peer.zone == zone end)
    local primaries = all(function(peer) return not peer.backup end)
    local backups = all(function(peer) return peer.backup end)
    local group = primaries
    if #near > 0 and weight(near, true) * 2 >= weight(near) then
      group = near
    elseif #primaries == 0 or (weight(primaries, true) == 0 and weight(backups, true) > 0) then
      group = backups
    end
    local panic = weight(group, true) * 2 < weight(group)
    local set, count = {}, 0
    for _, peer in ipairs(group) do
      if panic or peer.state.usable then set[peer], count = true, count + 1 end
    end
    return set, count
  end

  for _, balance in ipairs { "round_robin", "least_conn", "ewma", "hash", "random" } do
    it("picks only who may be picked, and each of them, by " .. balance, function()
      math.randomseed(31)
      dice.seed(31)
      for _ = 1, 30 do
        local weights = {}
        for i = 1, math.random(1, 7) do weights[i] = math.random(1, 3) end
        local list = peers.make(weights, function(i)
          local resting = i > 1 and math.random(5) == 1
          return { backup = math.random(4) == 1, zone = ({ "a", "b" })[math.random(2)], resting = resting, weight = resting and 0 or weights[i] }
        end)
        local zone = ({ "a", "c" })[math.random(3)]
        local pool = create(list, { balance = balance, zone = zone })
        for _ = 1, 12 do
          local set, count = allowed(list, zone)
          local seen, kinds = {}, 0
          for i = 1, 400 do
            local peer = pools.pick(pool, ngx.crc32_short("user " .. i), NONE)
            assert.is_true(set[peer], "picked " .. peer.index)
            if not seen[peer] then seen[peer], kinds = true, kinds + 1 end
          end
          assert.equal(count, kinds)
          local tried = {}
          while true do
            local peer = free.pick_untried(pool, math.random(0, 4294967295), tried)
            if not peer then break end
            for _, other in ipairs(tried) do assert.are_not.equal(other, peer) end
            tried[#tried + 1] = peer
          end
          local takers = 0
          for _, peer in ipairs(list) do takers = takers + (peer.resting and 0 or 1) end
          assert.equal(takers, #tried)
          set_usable(list[math.random(#list)], math.random(2) == 1)
        end
      end
    end)
  end
end)
