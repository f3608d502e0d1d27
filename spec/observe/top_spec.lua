local sheet = require("resty.switchboard.observe.sheet")
local add_row = require("add_row").add_row
local top = require("resty.switchboard.observe.top")
local dice = require("resty.switchboard.balance.dice")

local WIDTH = sheet.NUMBERS_OF_ROW
local MOST = 100

local function counted(requests)
  local counts = {}
  for i = 1, WIDTH - 1 do counts[i] = 0 end
  counts[2] = requests
  return counts
end

local function section() return sheet.create(1, 1).sections[1] end

local function requests_of(of, row) return of.numbers[row * WIDTH + 2] end

local function sum(of)
  local all = 0
  for row = 0, of.count do all = all + requests_of(of, row) end
  return all
end

-- Lets a second pass in which names had so many requests.
local function second(node, traffic)
  local heard = section()
  for name, requests in pairs(traffic) do add_row(heard, name, requests, counted(requests)) end
  top.fade(node, 1)
  top.merge(node, heard, MOST, "other")
end

describe("the busiest names", function()
  before_each(function() dice.seed(11) end)

  it("are all names, exactly, while there are rows", function()
    local node = section()
    for _ = 1, 10 do
      local traffic = {}
      for i = 1, MOST do traffic["n" .. i] = i end
      second(node, traffic)
    end
    for i = 1, MOST do assert.equal(10 * i, requests_of(node, node.rows["n" .. i])) end
    assert.equal(0, requests_of(node, 0))
  end)

  it("get in past ten times as many light ones, and stay", function()
    local node = section()
    local light, both, sent = {}, {}, 0
    for i = 1, 10 * MOST do light["light" .. i] = 1; both["light" .. i] = 1 end
    for i = 1, MOST / 2 do both["heavy" .. i] = 100 end
    for _ = 1, 30 do second(node, light); sent = sent + 10 * MOST end
    local function heavy_ones()
      local found = 0
      for i = 1, MOST / 2 do found = found + (node.rows["heavy" .. i] and 1 or 0) end
      return found
    end
    for _ = 1, 30 do second(node, both); sent = sent + 10 * MOST + 100 * MOST / 2 end
    assert.equal(MOST / 2, heavy_ones())
    for _ = 1, 60 do
      second(node, both)
      sent = sent + 10 * MOST + 100 * MOST / 2
      assert.is_true(heavy_ones() >= MOST / 2 - 1)
    end
    assert.equal(MOST, node.count)
    assert.equal(sent, sum(node))
  end)

  it("make room when their time is over", function()
    local node = section()
    local early, late = {}, {}
    for i = 1, MOST do early["early" .. i] = 100; late["late" .. i] = 10 end
    for _ = 1, 60 do second(node, early) end
    for _ = 1, 300 do second(node, late) end
    for i = 1, MOST do assert.is_truthy(node.rows["late" .. i]) end
  end)

  it("never take from the rest what was counted there", function()
    local node = section()
    local rest = 0
    for round = 1, 200 do
      local traffic = {}
      for _ = 1, 150 do traffic["n" .. dice.throw_below(1000)] = 1 + dice.throw_below(1 + round) end
      second(node, traffic)
      assert.is_true(requests_of(node, 0) >= rest)
      rest = requests_of(node, 0)
    end
    assert.is_true(rest > 0)
  end)

  it("have no row for a name that stands for the rest", function()
    local node = section()
    second(node, { other = 3, app = 2 })
    assert.equal(3, requests_of(node, 0))
    assert.equal(1, node.count)
  end)
end)
