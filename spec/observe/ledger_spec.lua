local ledgers = require("resty.switchboard.observe.ledger")
local slices = require("resty.switchboard.observe.slices")
local slip = require("resty.switchboard.observe.slip")
local tally = require("resty.switchboard.observe.tally")

describe("the ledger of the node", function()
  local dict = ngx.shared.switchboard_metrics
  local ledger

  --- A second later.
  local function tick(counted)
    dict:delete(ledger.key .. ":due")
    ledger.totals[1] = counted
    assert.is_nil(ledgers.tick(ledger, true))
  end

  local function read(of) return ledgers.read(of, function() ngx.sleep(0.001) end) end

  local function waiting()
    return (dict:llen(ledger.key .. ":slips"))
  end

  before_each(function()
    dict:flush_all()
    dict:flush_expired()
    ledger = ledgers.open(dict, "spec", 2)
  end)

  after_each(function()
    dict:flush_all()
    dict:flush_expired()
  end)

  it("is not looked at where nothing was sent", function()
    tick(0)
    assert.is_nil(dict:get(ledger.key .. ":due"))
    assert.equal(0, waiting())
  end)

  it("adds up at once when a few have come, else after a while", function()
    tick(1)
    assert.equal(0, waiting())
    for i = 1, 7 do
      tick(1)
      assert.equal(i, waiting())
    end
    tick(1)
    assert.equal(0, waiting())
    tick(1)
    assert.equal(1, waiting())
    dict:delete(ledger.key .. ":overdue")
    tick(0)
    assert.equal(0, waiting())
  end)

  it("says all that was sent to who reads it, added up or not", function()
    for _ = 1, 3 do tick(2) end
    assert.equal(2, waiting())
    local found = read(ledger)
    assert.equal(6, tonumber(found.totals[0]))
  end)

  it("goes on from what it knows, and from what another worker has left meanwhile", function()
    local other = ledgers.open(dict, "spec", 2)
    local sent = 0
    for i = 1, 40 do
      dict:delete(ledger.key .. ":overdue")
      tick(i)
      sent = sent + i
      if i % 7 == 0 then
        -- As another worker leaves it: what this one knows is out of date.
        other.totals[2] = i
        read(other)
        dict:incr(ledger.key .. ":number", 1)
      end
    end
    local found = read(ledger)
    assert.equal(sent, tonumber(found.totals[0]))
    assert.equal(7 + 14 + 21 + 28 + 35, tonumber(found.totals[1]))
  end)

  it("believes what stands in the dict, not what it knew, when that is another's", function()
    tick(5)
    local text = dict:get(ledger.key)
    tick(6)
    read(ledger)
    -- Another worker has added up in between.
    dict:set(ledger.key, text)
    dict:incr(ledger.key .. ":number", 1)
    tick(1)
    assert.equal(6, tonumber(read(ledger).totals[0]))
  end)

  --- As a worker sends it that has had 7 requests of so many routes, each.
  local function send_many(names)
    local tallies = {}
    for i = 1, names do
      local counts = {}
      for place = 1, tally.PLACES do counts[place] = 7 end
      tallies[i] = { name = "name-" .. i, counts = counts, idle = false }
    end
    slip.write({ 7, 0 }, { { tallies = tallies, count = #tallies }, { tallies = {}, count = 0 } },
      slices.in_slices(function() end), function(text) assert(dict:lpush(ledger.key .. ":slips", text)) end)
  end

  local function fill()
    local filler, n = ("x"):rep(65536), 0
    while dict:safe_set("filler" .. n, filler) do n = n + 1 end
    filler = ("x"):rep(2048)
    while dict:safe_set("filler" .. n, filler) do n = n + 1 end
    return function()
      for i = 0, n do dict:delete("filler" .. i) end
    end
  end

  it("knows what found no room in the dict, and writes it when there is room", function()
    tick(1)
    send_many(1000)
    local empty = fill()
    read(ledger)
    assert.is_nil(dict:get(ledger.key .. ":0:15"))
    local other = ledgers.open(dict, "spec", 2)
    empty()
    tick(1)
    assert.is_nil(ledgers.tick(ledger, true))
    dict:delete(ledger.key .. ":overdue")
    tick(1)
    local found = read(other)
    assert.equal(10, tonumber(found.totals[0]))
    assert.equal(1000, found.sections[1].count)
    for row = 1, 1000 do assert.equal(7, tonumber(found.sections[1].numbers[row * 20 + 1])) end
  end)

  it("begins anew where an addition failed and the dict was emptied after that", function()
    tick(1)
    send_many(1000)
    fill()
    read(ledger)
    dict:flush_all()
    dict:flush_expired()
    local found = read(ledger)
    assert.equal(0, tonumber(found.totals[0]))
    assert.equal(0, found.sections[1].count)
  end)

  it("reads what another worker has added up, with many names", function()
    send_many(1000)
    read(ledger)
    send_many(900)
    local other = ledgers.open(dict, "spec", 2)
    for _ = 1, 3 do
      local found = read(other)
      assert.equal(14, tonumber(found.totals[0]))
      assert.equal(1000, found.sections[1].count)
      for row = 1, 1000 do
        local expected = row <= 900 and 14 or 7
        assert.equal(expected, tonumber(found.sections[1].numbers[found.sections[1].rows["name-" .. row] * 20 + 1]))
      end
      ledger, other = other, ledger
    end
  end)

  it("waits for who adds up right now", function()
    tick(3)
    tick(4)
    dict:set(ledger.key .. ":lock", true)
    ngx.timer.at(0.03, function() dict:delete(ledger.key .. ":lock") end)
    assert.equal(7, tonumber(read(ledger).totals[0]))
  end)
end)
