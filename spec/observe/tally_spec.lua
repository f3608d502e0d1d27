-- Counts of requests through the router's own phases, and what they cost in memory and time.

local switchboard = require("resty.switchboard")
local counters = require("resty.switchboard.observe.counters")
local tally = require("resty.switchboard.observe.tally")
local families = require("resty.switchboard.observe.families")
local exposition = require("resty.switchboard.observe.exposition")

local dict = ngx.shared.switchboard_metrics

local function count_in(sheet, name, place)
  local section = sheet.sections[1]
  local row = name == "other" and 0 or section.rows[name]
  return row and section.numbers[row * 20 + 1 + place] or 0
end

local function counted(name, times, seconds)
  local entry = { name = name }
  for _ = 1, times do tally.observe(entry, nil, ngx.now() - (seconds or 0.030), 200, 1, 0) end
end

describe("counts by route", function()
  setup(function()
    switchboard.configure { redis_url = "redis://127.0.0.1:6379" }
  end)
  before_each(function()
    tally.set_mode("on")
    counters.send_counts(dict, 0)
    dict:flush_all()
  end)

  it("have statuses by class, durations by bucket, tries and own answers", function()
    local entry = { name = "a.example" }
    for _, status in ipairs { 101, 200, 204, 301, 404, 499, 502, 999, 0 } do
      tally.observe(entry, nil, ngx.now() - 0.030, status, 2, status == 502 and 1 or 0)
    end
    tally.observe_refusal(entry, 503, 1)
    local sheet = counters.read_counts(function() end)
    local classes = {}
    for i = 1, 5 do classes[i] = count_in(sheet, "a.example", i - 1) end
    assert.same({ 2, 2, 1, 2, 3 }, classes)
    assert.equal(9, count_in(sheet, "a.example", tally.BUCKETS + 3)) -- 25 ms < 30 ms <= 50 ms
    assert.equal(9 * 30, count_in(sheet, "a.example", tally.DURATION))
    assert.equal(18, count_in(sheet, "a.example", tally.TRIES))
    assert.equal(2, count_in(sheet, "a.example", tally.ANSWERS))
  end)

  it("put each duration into the first bucket whose bound it does not exceed", function()
    for _, case in ipairs { { 0, 0 }, { 0.005, 0 }, { 0.006, 1 }, { 0.999, 7 }, { 1, 7 }, { 1.001, 8 }, { 10, 9 }, { 10.001, 10 }, { 86400, 10 } } do
      dict:flush_all()
      counted("b.example", 1, case[1])
      assert.equal(1, count_in(counters.read_counts(function() end), "b.example", tally.BUCKETS + case[2]), tostring(case[1]))
    end
  end)

  it("are not lost when a route is compiled anew, and are not counted twice", function()
    for _ = 1, 10 do
      counted("c.example", 3)
      counted("c.example", 4)
      counters.read_counts(function() end)
    end
    assert.equal(70, count_in(counters.read_counts(function() end), "c.example", 1))
  end)

  it("are kept while the dict is full, and told later", function()
    local filler = ("x"):rep(65536)
    local n = 0
    while dict:safe_set("filler" .. n, filler) do n = n + 1 end
    while dict:safe_set("small" .. n, ("x"):rep(1000)) do n = n + 1 end
    while dict:safe_set("tiny" .. n, 1) do n = n + 1 end
    counted("d.example", 5)
    assert.equal(0, count_in(counters.read_counts(function() end), "d.example", 1))
    counted("d.example", 6)
    counters.read_counts(function() end)
    for i = 0, n do
      for _, kind in ipairs { "filler", "small", "tiny" } do dict:delete(kind .. i) end
    end
    counters.read_counts(function() end)
    assert.equal(11, count_in(counters.read_counts(function() end), "d.example", 1))
  end)

  it("are none with observe=off", function()
    tally.set_mode("off")
    counted("e.example", 5)
    tally.observe_refusal({ name = "e.example" }, 503, 1)
    tally.set_mode("on")
    assert.equal(0, counters.read_counts(function() end).sections[1].count)
  end)

  it("take bounded memory for a million names, and sum up to all", function()
    local requests, most = 0, 0
    collectgarbage()
    local before = collectgarbage("count")
    for second = 1, 100 do
      for i = 1, 10000 do
        counted(("h%d-%d.example"):format(second, i), 1)
        requests = requests + 1
      end
      assert.is_nil(counters.send_counts(dict, 0))
      counters.read_counts(function() end)
      collectgarbage()
      most = math.max(most, collectgarbage("count") - before)
    end
    local sheet = counters.read_counts(function() end)
    local all = 0
    for row = 0, sheet.sections[1].count do all = all + sheet.sections[1].numbers[row * 20 + 2] end
    assert.equal(1000, sheet.sections[1].count)
    assert.equal(requests, all)
    assert.is_true(most < 4096, ("%d kB"):format(most))
    assert.is_true(dict:capacity() <= 2097152)
  end)

  it("are read without a wait for what is new of many routes, which is sent within a second", function()
    for i = 1, 1001 do counted(("many-%d.example"):format(i), 1) end
    counted("few.example", 5)
    assert.equal(0, count_in(counters.read_counts(function() end), "few.example", 1))
    assert.is_nil(counters.send_counts(dict, 0))
    assert.equal(5, count_in(counters.read_counts(function() end), "few.example", 1))
    counted("few.example", 6)
    assert.equal(11, count_in(counters.read_counts(function() end), "few.example", 1))
  end)

  it("of 10,000 active routes make a page within 200 ms, in pieces of a few", function()
    local entries = {}
    for i = 1, 10000 do entries[i] = { name = ("route-%d.some-customer.example.com/path"):format(i) } end
    for _ = 1, 3 do
      for i = 1, 10000 do tally.observe(entries[i], nil, ngx.now(), 200, 1, 0) end
      assert.is_nil(counters.send_counts(dict, 0))
    end
    for i = 1, 10000 do tally.observe(entries[i], nil, ngx.now(), 200, 1, 0) end
    local best, longest, lines = math.huge, math.huge, 0
    for _ = 1, 5 do
      local began = os.clock()
      local last, worst = began, 0
      lines = 0
      local page = exposition.create(false, function(words)
        local _, more = table.concat(words):gsub("\n", "\n")
        lines = lines + more
        worst = math.max(worst, os.clock() - last)
        last = os.clock()
      end, function() end)
      local sheet = counters.read_counts(function() end)
      last = os.clock()
      families.write_totals(page, sheet, true)
      families.write_section(page, sheet.sections[1], "route")
      exposition.finish(page)
      best = math.min(best, os.clock() - began)
      longest = math.min(longest, worst)
    end
    assert.is_true(lines > 20000 and lines < 20200, tostring(lines))
    assert.is_true(best < 0.2, tostring(best))
    assert.is_true(longest < 0.01, tostring(longest))
  end)
end)
