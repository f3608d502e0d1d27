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

describe("a packed sheet", function()
  it("unpacks to what it was, whatever was in the sheet before", function()
    dice.seed(7)
    local into = sheet.create(5, 2)
    for _ = 1, 200 do
      local made = random_sheet(5, 60)
      local expected = plain(made)
      assert.is_true(sheet.unpack_into(into, sheet.pack(made)))
      assert.same(expected, plain(into))
    end
  end)

  it("is refused when it is damaged, cut off or of another kind, and changes nothing", function()
    dice.seed(8)
    local text = sheet.pack(random_sheet(5, 30))
    local into = random_sheet(5, 10)
    local before = plain(into)
    for length = 0, #text - 1 do
      assert.is_false(sheet.unpack_into(into, text:sub(1, length)))
    end
    for _, garbage in ipairs { "", "\n", "5", "5\n", "5\n1 1\n", "x\n0 0\n0 0\n", text .. "x", "4" .. text:sub(2), "5\n999999999 1\n0 0\n" } do
      assert.is_false(sheet.unpack_into(into, garbage))
    end
    assert.same(before, plain(into))
  end)
end)
