local exposition = require("resty.switchboard.observe.exposition")
local families = require("resty.switchboard.observe.families")
local sheet = require("resty.switchboard.observe.sheet")

local WIDTH = sheet.NUMBERS_OF_ROW

describe("a page of the busiest names", function()
  local section

  before_each(function()
    section = sheet.create(1, 1).sections[1]
    for n = 1, 1000 do
      local row = sheet.append(section, ("n%d.example"):format(n))
      for i = 1, WIDTH - 1 do section.numbers[row * WIDTH + i] = n end
    end
  end)

  --- Lines by what they begin with, while something is done after each piece.
  local function lines_of(between)
    local parts = {}
    local page = exposition.create(false, function(words)
      parts[#parts + 1] = table.concat(words)
    end, function() between(#parts) end)
    families.write_section(page, section, "route")
    exposition.finish(page)
    local values, count = {}, 0
    for line in table.concat(parts):gmatch("[^\n]+") do
      local series, value = line:match("^([^#].*) (%S+)$")
      if series then
        assert.is_nil(values[series], series)
        values[series] = tonumber(value)
        count = count + 1
      end
    end
    return values, count
  end

  it("has twenty lines a name, and the rest", function()
    local values, count = lines_of(function() end)
    assert.equal(1001 * 20, count)
    assert.equal(7, values['switchboard_route_requests_total{code="5xx",route="n7.example"}'])
    assert.equal(14, values['switchboard_route_duration_seconds_bucket{le="0.01",route="n7.example"}'])
    assert.equal(77, values['switchboard_route_duration_seconds_count{route="n7.example"}'])
    assert.equal(0.007, values['switchboard_route_duration_seconds_sum{route="n7.example"}'])
    assert.equal(7, values['switchboard_route_tries_total{route="n7.example"}'])
    assert.equal(0, values['switchboard_route_answers_total{route="other"}'])
  end)

  it("says nothing more of a name that has lost its row meanwhile, and nothing yet of the one that got it", function()
    local values = lines_of(function(parts)
      if parts == 10 then
        sheet.rename(section, 900, "late.example")
        for i = 0, WIDTH - 1 do section.numbers[900 * WIDTH + i] = 0 end
        sheet.append(section, "later.example")
      end
    end)
    for series, value in pairs(values) do
      assert.is_nil(series:find("late", 1, true), series)
      if series:find('"n900.example"', 1, true) then assert.is_true(value > 0, series) end
    end
    assert.is_nil(values['switchboard_route_tries_total{route="n900.example"}'])
    assert.equal(899, values['switchboard_route_tries_total{route="n899.example"}'])
  end)
end)
