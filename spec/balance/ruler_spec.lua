local ruler = require("resty.switchboard.balance.ruler")

local function marks_of(list)
  local marks = ruler.numbers("uint32_t", #list)
  for i, mark in ipairs(list) do marks[i - 1] = mark end
  return marks
end

--- The same by looking at one after the other.
local function first_from(list, place)
  for i, mark in ipairs(list) do
    if mark >= place then return i - 1 end
  end
  return #list
end

describe("a ruler", function()
  it("finds the first mark that is not before a place, however they lie", function()
    math.randomseed(2)
    for round = 1, 300 do
      local length = ({ 1, 2, 100, 65536, 65537, 4294967296 })[math.random(6)]
      local list = {}
      -- Some crowded at one end: more than the 15 of a part that need no loop.
      local crowd = math.random(2) == 1 and math.max(1, math.floor(length / 1000)) or length
      for i = 1, math.random(1, 80) do list[i] = math.random(0, crowd - 1) end
      table.sort(list)
      local made = ruler.create(marks_of(list), #list, length)
      local places = { 0, length - 1 }
      for _, mark in ipairs(list) do
        places[#places + 1] = mark
        places[#places + 1] = math.min(mark + 1, length - 1)
      end
      for _ = 1, 30 do places[#places + 1] = math.floor(math.random() * length) end
      for _, place in ipairs(places) do
        assert.equal(first_from(list, place), ruler.first_from(made, place), ("round %d, length %d, place %d"):format(round, length, place))
      end
    end
  end)
end)
