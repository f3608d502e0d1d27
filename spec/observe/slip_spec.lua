-- What a worker sends, read again: nothing is lost, nothing of it is believed that is not whole.

local slices = require("resty.switchboard.observe.slices")
local slip = require("resty.switchboard.observe.slip")
local sheet = require("resty.switchboard.observe.sheet")
local tally = require("resty.switchboard.observe.tally")
local dice = require("resty.switchboard.balance.dice")

local WIDTH = sheet.NUMBERS_OF_ROW
local MOST_NAMED = 1500

local function counted(name, requests)
  local counts = {}
  for i = 1, tally.PLACES do counts[i] = 0 end
  counts[2] = requests
  counts[tally.DURATION + 1] = requests * 37
  return { name = name, counts = counts, idle = false }
end

local function list(tallies) return { tallies = tallies, count = #tallies } end

--- What is sent of it.
local function written(totals, lists, pauses)
  local texts = {}
  slip.write(totals, lists, slices.in_slices(pauses or function() end), function(text) texts[#texts + 1] = text end)
  return texts
end

--- Requests by name of each section, "" has those of the rest; and the sum of the totals.
local function read_all(texts, totals_count)
  local found, totals = { { [""] = 0 }, { [""] = 0 } }, {}
  for i = 1, totals_count do totals[i] = 0 end
  for _, text in ipairs(texts) do
    local made = slip.read(text, totals_count, 2)
    for i = 1, totals_count do totals[i] = totals[i] + made.totals[i - 1] end
    local rows, into = made.rows, found[made.section + 1]
    for row = 0, rows.count do
      local name = row == 0 and "" or rows.names[row]
      local requests = rows.numbers[row * WIDTH + 2]
      assert.is_true(row == 0 or into[name] == nil, name)
      into[name] = (into[name] or 0) + requests
      assert.equal(requests, rows.numbers[row * WIDTH])
      local duration = rows.numbers[row * WIDTH + 1 + tally.DURATION]
      assert.is_true(math.abs(duration / (requests * 37 + 1e-9) - 1) < 1e-7 or duration == 0 and requests == 0, duration)
    end
  end
  return found, totals
end

describe("a slip", function()
  before_each(function() dice.seed(5) end)

  it("says all that was counted, and leaves nothing of it behind", function()
    for _ = 1, 100 do
      local sections, expected = {}, {}
      for s = 1, 2 do
        sections[s], expected[s] = {}, { [""] = 0 }
        for i = 1, dice.throw_below(40) do
          local name = ("name-%d.example/%s"):format(i, ("x"):rep(dice.throw_below(200)))
          local requests = dice.throw_below(5000)
          sections[s][i] = counted(name, requests)
          expected[s][name] = requests
        end
      end
      local totals = { 0, 1.5, 2 ^ 40, dice.throw_below(7) + 1 }
      local last = totals[4]
      local made = written(totals, { list(sections[1]), list(sections[2]) })
      assert.same({ 0, 0, 0, 0 }, totals)
      local found, sums = read_all(made, 4)
      assert.same({ 0, 1.5, 2 ^ 40, last }, sums)
      for s = 1, 2 do
        assert.same(expected[s], found[s])
        for _, each in ipairs(sections[s]) do
          assert.is_true(each.idle)
          assert.equal(0, tally.requests_of(each) + each.counts[tally.DURATION + 1])
        end
      end
    end
  end)

  it("is none where nothing was counted", function()
    assert.same({}, written({ 0, 0 }, { list {}, list {} }))
  end)

  it("is small, however many names there are", function()
    local tallies = {}
    for i = 1, 1000 do tallies[i] = counted(("name-%d.example"):format(i), 1) end
    local made = written({ 3, 4 }, { list(tallies), list { counted("instance", 2) } })
    assert.equal(9, #made)
    for _, text in ipairs(made) do assert.is_true(#text < 16384, #text) end
    local found, totals = read_all(made, 2)
    for i = 1, 1000 do assert.equal(1, found[1][("name-%d.example"):format(i)]) end
    assert.equal(2, found[2].instance)
    assert.same({ 3, 4 }, totals)
  end)

  it("names the busiest, with pauses, and sums up the others", function()
    for _, most in ipairs { 3, 50, 4000 } do
      local tallies, all, by_requests, pauses = {}, 0, {}, 0
      for i = 1, 4000 do
        local requests = 1 + dice.throw_below(most)
        tallies[i] = counted("n" .. i, requests)
        all = all + requests
        by_requests[i] = requests
      end
      table.sort(by_requests, function(a, b) return a > b end)
      -- What is busier than this is told apart no more.
      local least = math.min(by_requests[MOST_NAMED], 1023)
      local busier = {}
      for _, each in ipairs(tallies) do
        if tally.requests_of(each) > least and least < 1023 then busier[each.name] = tally.requests_of(each) end
      end
      local found, sum, names = read_all(written({}, { list(tallies), list {} }, function() pauses = pauses + 1 end), 0), 0, -1
      found = found[1]
      for _, requests in pairs(found) do
        sum = sum + requests
        names = names + 1
      end
      assert.equal(all, sum)
      assert.equal(MOST_NAMED, names)
      for name, requests in pairs(busier) do assert.equal(requests, found[name]) end
      assert.is_true(pauses >= 30, pauses)
    end
  end)

  it("has what is counted while it pauses, or leaves it to the next", function()
    tally.set_mode("on")
    tally.take_touched()
    local entries, sent = {}, 0
    local function request()
      local i = dice.throw_below(3000) + 1
      entries[i] = entries[i] or { name = "e" .. i }
      tally.observe(entries[i], nil, ngx.now(), 200, 1, 0)
      sent = sent + 1
    end
    local function sum_of(texts)
      local sum = 0
      for _, text in ipairs(texts) do
        local rows = slip.read(text, 0, 2).rows
        for row = 0, rows.count do sum = sum + rows.numbers[row * WIDTH + 2] end
      end
      return sum
    end
    for _ = 1, 20000 do request() end
    local first = written({}, tally.take_touched(), function() for _ = 1, 50 do request() end end)
    local second = written({}, tally.take_touched())
    assert.is_true(sent > 20000)
    assert.equal(sent, sum_of(first) + sum_of(second))
    assert.same({}, written({}, tally.take_touched()))
  end)

  it("is refused when it is damaged, cut off or of another kind", function()
    local made = written({ 1, 2 }, { list { counted("a", 1), counted("b", 2) }, list {} })[1]
    assert.is_not_nil(slip.read(made, 2, 2))
    for length = 0, #made - 1 do assert.is_nil(slip.read(made:sub(1, length), 2, 2)) end
    assert.is_nil(slip.read(made .. "x", 2, 2))
    for _, other in ipairs { 0, 1, 3, 100 } do assert.is_nil(slip.read(made, other, 2)) end
    for _ = 1, 3000 do
      local bytes = {}
      for i = 1, dice.throw_below(400) do bytes[i] = string.char(dice.throw_below(256)) end
      slip.read(table.concat(bytes), 2, 2)
      -- The numbers of the section, of rows and of bytes, changed.
      local at = dice.throw_below(40)
      slip.read(made:sub(1, at) .. string.char(dice.throw_below(256)) .. made:sub(at + 2), 2, 2)
    end
  end)
end)
