local circle = require("resty.switchboard.balance.circle")
local hash = require("resty.switchboard.balance.hash")
local peers = require("balance.peers")

local NONE = {}

--- Whom nginx's `hash $arg_key consistent` chooses for each key.
local function ask_nginx(path, keys)
  local socket = ngx.socket.tcp()
  assert(socket:connect("unix:" .. SPEC_PREFIX .. "/hash.sock"))
  local chosen = {}
  for i, key in ipairs(keys) do
    assert(socket:send(("GET %s?key=%s HTTP/1.1\r\nHost: hash\r\n\r\n"):format(path, key)))
    local length = 0
    repeat
      local line = assert(socket:receive())
      length = tonumber(line:match("^Content%-Length: (%d+)")) or length
      chosen[i] = line:match("^X%-Upstream: (.+)$") or chosen[i]
    until line == ""
    assert(socket:receive(length))
  end
  socket:close()
  return chosen
end

local function keys_of(count)
  local keys = {}
  for i = 1, count do keys[i] = ("user-%d.%x"):format(i * 7919, i) end
  return keys
end

local function choices(picker, keys)
  local chosen = {}
  for i, key in ipairs(keys) do
    local peer = picker.pick(picker, ngx.crc32_short(key), NONE)
    chosen[i] = peer.address .. ":" .. peer.port
  end
  return chosen
end

local function members(list)
  local made = {}
  for i, given in ipairs(list) do
    made[i] = peers.make({ given[3] or 1 }, function() return { address = given[1], port = given[2], index = i } end)[1]
  end
  return made
end

describe("hash", function()
  it("chooses whom nginx's `hash … consistent` chooses", function()
    local list = members {
      { "10.255.0.1", 80 }, { "127.0.0.1", 9101 }, { "127.0.0.1", 9102 }, { "127.0.0.1", 9103 }, { "[::1]", 9104 }, { "127.0.0.1", 9105 },
    }
    local keys = keys_of(3000)
    assert.same(ask_nginx("/even", keys), choices(hash.create(list, 0, 0), keys))
  end)

  it("chooses whom nginx chooses by weights up to 1,000", function()
    local list = members {
      { "127.0.0.1", 9101, 1 }, { "127.0.0.1", 9102, 7 }, { "127.0.0.1", 9103, 30 }, { "127.0.0.1", 9104, 1000 }, { "127.0.0.1", 9105, 500 },
    }
    local keys = keys_of(3000)
    assert.same(ask_nginx("/weighted", keys), choices(hash.create(list, 0, 0), keys))
    -- Heavier counts as 1,000.
    list[4].weight = 65535
    assert.same(choices(hash.create(list, 0, 0), keys), ask_nginx("/weighted", keys))
  end)

  it("has its points in order and finds the first that is not before a key", function()
    local made = circle.create(members { { "10.0.0.1", 80, 3 }, { "10.0.0.2", 80, 2 } })
    assert.equal(5 * 160, made.count)
    for i = 1, made.count - 1 do assert.is_true(made.ruler.marks[i - 1] < made.ruler.marks[i]) end
    for i = 0, made.count - 1 do assert.equal(i, circle.place_of(made, tonumber(made.ruler.marks[i]))) end
    assert.equal(0, circle.place_of(made, 4294967295))
    assert.equal(1, circle.place_of(made, tonumber(made.ruler.marks[0]) + 1))
  end)

  it("stays below 1,600,000 points, whatever the weights", function()
    local list = {}
    for i = 1, 40 do list[i] = { "10.0.0." .. i, 80, i * 1000 } end
    local made = circle.create(members(list))
    assert.is_true(made.count <= 1600000 and made.count > 1500000, made.count)
  end)

  it("moves only the keys of a peer that goes", function()
    local list = peers.even(10)
    local before = hash.create(list, 0, 0)
    local rest = {}
    for i = 2, 10 do rest[i - 1] = list[i] end
    local after = hash.create(rest, 0, 0)
    local moved = 0
    for i = 1, 5000 do
      local key = ngx.crc32_short("k" .. i)
      local a, b = before.pick(before, key, NONE), after.pick(after, key, NONE)
      if a.index == 1 then moved = moved + 1 else assert.equal(a, b) end
    end
    assert.is_true(moved > 350 and moved < 650, moved)
  end)

  it("passes a peer without a share, to whom a circle without it would choose", function()
    local list = peers.even(10)
    local whole = hash.create(list, 0, 0)
    list[4].share = 0
    local rest = {}
    for i = 1, 10 do if i ~= 4 then rest[#rest + 1] = list[i] end end
    local without = hash.create(rest, 0, 0)
    for i = 1, 3000 do
      local key = ngx.crc32_short("k" .. i)
      assert.equal(without.pick(without, key, NONE), whole.pick(whole, key, NONE))
    end
  end)

  it("passes a peer that was tried", function()
    local list = peers.even(3)
    local picker = hash.create(list, 0, 0)
    for i = 1, 100 do
      local key = ngx.crc32_short("k" .. i)
      local first = picker.pick(picker, key, NONE)
      local second = picker.pick(picker, key, { first })
      assert.are_not.equal(first, second)
      local third = picker.pick(picker, key, { first, second })
      assert.is_true(third ~= first and third ~= second)
    end
  end)

  it("lets a peer that warms up take a part of its keys, the same each time, and more as it grows", function()
    local list = peers.even(4)
    local picker = hash.create(list, 0, 0)
    local function keys_of_first()
      local found, count = {}, 0
      for i = 1, 8000 do
        if picker.pick(picker, ngx.crc32_short("k" .. i), NONE).index == 1 then
          found[i], count = true, count + 1
        end
      end
      return found, count
    end
    local _, all = keys_of_first()
    local previous = {}
    for _, share in ipairs { 0.1, 0.3, 0.7, 1 } do
      list[1].share = share
      local found, count = keys_of_first()
      assert.is_true(math.abs(count / all - share) < 0.06, share .. ": " .. count / all)
      for i in pairs(previous) do assert.is_true(found[i], "a key left again") end
      previous = found
    end
  end)

  it("never goes to who is out, also when those that warm up let a key pass", function()
    local list = peers.even(3)
    local picker = hash.create(list, 0, 0)
    list[1].share, list[2].share, list[3].share = 0, 0.1, 0.1
    for i = 1, 3000 do
      local key = ngx.crc32_short("k" .. i)
      local peer = picker.pick(picker, key, NONE)
      assert.are_not.equal(1, peer.index)
      assert.are_not.equal(peer, picker.pick(picker, key, { peer }))
    end
  end)

  describe("with a bound", function()
    it("lets nobody have more than that many times the average", function()
      local list = peers.even(10)
      local picker = hash.create(list, 0, 1.25)
      local key = ngx.crc32_short("the one key of everybody")
      for running = 1, 200 do
        -- What runs is counted once in an event-loop tick; here every request has its own.
        picker.counted_at = -1
        local peer = picker.pick(picker, key, NONE)
        peer.state.in_flight = peer.state.in_flight + 1
        for _, each in ipairs(list) do
          assert.is_true(each.state.in_flight <= math.ceil(1.25 * running / 10), running .. ": " .. each.state.in_flight)
        end
      end
    end)

    it("changes nothing while loads are even", function()
      local list = peers.even(10)
      local free, bound = hash.create(list, 0, 0), hash.create(list, 0, 1.25)
      for i = 1, 1000 do
        local key = ngx.crc32_short("k" .. i)
        assert.equal(free.pick(free, key, NONE), bound.pick(bound, key, NONE))
      end
    end)
  end)
end)
