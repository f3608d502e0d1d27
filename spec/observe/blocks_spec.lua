-- How a sheet stands in a dict, read again: nothing is lost, nothing of it is believed that is not whole.

local blocks = require("resty.switchboard.observe.blocks")
local sheet = require("resty.switchboard.observe.sheet")
local add_row = require("add_row").add_row
local dice = require("resty.switchboard.balance.dice")

local WIDTH = sheet.NUMBERS_OF_ROW

local function random_sheet(totals, names)
  local made = sheet.create(totals, 2)
  for i = 0, totals - 1 do made.totals[i] = dice.throw_below(1000000) / 8 end
  for _, section in ipairs(made.sections) do
    for n = 1, dice.throw_below(names) do
      local counts = {}
      for i = 1, WIDTH - 1 do counts[i] = dice.throw_below(1000) end
      -- Now and then the same name twice, and the rest.
      local name = ("name-%d.example/p%s"):format(dice.throw_below(names), ("x"):rep(n % 50))
      add_row(section, n % 7 > 0 and name or nil, n, counts)
    end
  end
  return made
end

local function plain(of)
  local found = { totals = {} }
  for i = 0, of.totals_count - 1 do found.totals[i] = of.totals[i] end
  for s, section in ipairs(of.sections) do
    local rows = {}
    for row = 0, section.count do
      local numbers = {}
      for i = 0, WIDTH - 1 do numbers[i] = section.numbers[row * WIDTH + i] end
      rows[row == 0 and "" or section.names[row]] = numbers
      if row > 0 then assert.equal(row, section.rows[section.names[row]]) end
    end
    found[s] = rows
  end
  return found
end


local function pack(made)
  local packed = { head = blocks.pack_head(made) }
  for s, section in ipairs(made.sections) do
    packed[s] = {}
    for block = 0, blocks.blocks_of(section.count) - 1 do packed[s][block] = blocks.pack_block(section, block) end
  end
  return packed
end

--- As the ledger does it. @returns whether all blocks were whole
local function unpack(into, packed)
  local counts = assert(blocks.unpack_head(into, packed.head))
  local whole = true
  for s, section in ipairs(into.sections) do
    sheet.cut(section, counts[s])
    for block = 0, blocks.blocks_of(counts[s]) - 1 do
      if not blocks.unpack_block(section, block, counts[s], packed[s][block]) then
        whole = false
        break
      end
    end
  end
  return whole
end

describe("a packed sheet", function()
  before_each(function() dice.seed(7) end)

  it("unpacks to what it was, whatever was in the sheet before", function()
    local into = sheet.create(5, 2)
    for _ = 1, 40 do
      local made = random_sheet(5, 300)
      local expected = plain(made)
      assert.is_true(unpack(into, pack(made)))
      assert.same(expected, plain(into))
    end
  end)

  it("is what it was after each of many changes", function()
    local made, into = random_sheet(5, 300), sheet.create(5, 2)
    for round = 1, 60 do
      local section = made.sections[1]
      for _ = 1, 5 do
        local row = 1 + dice.throw_below(section.count)
        sheet.rename(section, row, ("late-%d-%d"):format(round, row))
      end
      if round % 10 == 0 then sheet.cut(section, dice.throw_below(section.count)) end
      for n = 1, 10 do add_row(section, ("new-%d-%d"):format(round, n), 1, plain(made)[1][""]) end
      assert.is_true(unpack(into, pack(made)))
      assert.same(plain(made), plain(into))
    end
  end)

  it("has small values, however many names there are", function()
    local made = sheet.create(5, 2)
    for n = 1, 1000 do sheet.append(made.sections[1], ("name-%d.example"):format(n)) end
    local packed = pack(made)
    assert.is_true(#packed.head < 1024)
    for block = 0, blocks.blocks_of(1000) - 1 do assert.is_true(#packed[1][block] < 16384) end
  end)

  it("has a head that is refused when it is damaged, cut off or of another kind, and changes nothing", function()
    local text = blocks.pack_head(random_sheet(5, 30))
    local into = random_sheet(5, 10)
    local before = plain(into)
    for length = 0, #text - 1 do assert.is_nil(blocks.unpack_head(into, text:sub(1, length))) end
    for _, garbage in ipairs { "", "\n", "5", "5\n", "5 1 1\n", "x 0 0\n", text .. "x", "4" .. text:sub(2), "5 999999999 1\n", "5  1 1\n" } do
      assert.is_nil(blocks.unpack_head(into, garbage))
    end
    assert.same(before, plain(into))
  end)

  it("ends before a block that is damaged, cut off or of another kind", function()
    local made
    repeat made = random_sheet(5, 300) until made.sections[1].count > 130
    local packed = pack(made)
    local whole = packed[1][1]
    for _, garbage in ipairs { "", "\n", "64\n", "64 1\n", whole .. "x", whole:sub(1, -2), "63" .. whole:sub(3), "64 9" .. whole:sub(4), whole:gsub("\nname", "name", 1), (whole:gsub("-%d+%.example", "\nx", 1)) } do
      local into = random_sheet(5, 300)
      packed[1][1] = garbage
      assert.is_false(unpack(into, packed))
      assert.equal(64, into.sections[1].count)
      local found, expected = plain(into), plain(made)
      assert.same(expected[2], found[2])
      for name, numbers in pairs(found[1]) do assert.same(expected[1][name], numbers) end
      assert.is_nil(into.sections[1].names[65])
    end
    packed[1][1] = nil
    local into = random_sheet(5, 300)
    assert.is_false(unpack(into, packed))
    assert.equal(64, into.sections[1].count)
  end)

  it("ends before a name that it has had, as a worker leaves it who dies between two blocks", function()
    local made = sheet.create(5, 2)
    for n = 1, 200 do sheet.append(made.sections[1], "n" .. n) end
    local packed = pack(made)
    -- n150 has lost its row in the third block and has found another one in the first.
    sheet.rename(made.sections[1], 150, "late")
    sheet.rename(made.sections[1], 3, "n150")
    packed[1][0] = blocks.pack_block(made.sections[1], 0)
    local into = sheet.create(5, 2)
    assert.is_false(unpack(into, packed))
    assert.equal(128, into.sections[1].count)
    assert.equal(3, into.sections[1].rows.n150)
  end)
end)
