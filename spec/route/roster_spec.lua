local names = require("resty.switchboard.route.names")
local dict = ngx.shared.switchboard_names

local function listed(roster)
  local found = {}
  for number = 1, roster.last_number(dict) do
    local name = roster.name_at(dict, number)
    if name then found[#found + 1] = name end
  end
  table.sort(found)
  return found
end

describe("the list of routes to check", function()
  local roster

  before_each(function()
    package.loaded["resty.switchboard.route.roster"] = nil
    roster = require("resty.switchboard.route.roster")
    dict:flush_all()
  end)

  local function entry() return { budget = { requests = 0 } } end

  it("has whom a worker was asked for, and who wants it always, each once, beside the list of all names", function()
    names.add(dict, "c.example")
    assert.is_true(roster.is_empty(dict))
    roster.heed(dict, "a.example", entry(), true, 1000)
    roster.heed(dict, "a.example", entry(), true, 1001)
    roster.heed(dict, "plain.example", entry(), false, 1000)
    roster.enlist(dict, "b.example")
    roster.enlist(dict, "b.example")
    roster.enlist(dict, "a.example")
    assert.same({ "a.example", "b.example" }, listed(roster))
    assert.equal(1, names.count(dict))
    assert.is_true(roster.was_seen_lately(dict, "a.example", 1300))
    assert.is_false(roster.was_seen_lately(dict, "a.example", 1302))
    assert.is_false(roster.was_seen_lately(dict, "b.example", 1000))
  end)

  it("has one again that had left it, as soon as it is asked for", function()
    local asked, idle = entry(), entry()
    roster.heed(dict, "asked.example", asked, true, 1000)
    roster.heed(dict, "idle.example", idle, true, 1000)
    for number = roster.last_number(dict), 1, -1 do roster.strike_off(dict, number, roster.name_at(dict, number)) end
    assert.is_true(roster.is_empty(dict))
    asked.budget.requests = 7
    roster.note_asked(dict, 2000)
    assert.same({ "asked.example" }, listed(roster))
    assert.is_true(roster.was_seen_lately(dict, "asked.example", 2299))
    -- What was asked in between is noted with the next look.
    asked.budget.requests = 9
    roster.note_asked(dict, 2001)
    assert.is_false(roster.was_seen_lately(dict, "asked.example", 2301))
    roster.note_asked(dict, 2010)
    assert.is_true(roster.was_seen_lately(dict, "asked.example", 2301))
  end)

  it("forgets who has no check any more, or has left the worker's cache", function()
    local without = entry()
    roster.heed(dict, "without.example", without, true, 1000)
    roster.heed(dict, "gone.example", entry(), true, 1000)
    roster.heed(dict, "without.example", without, false, 1000)
    for number = 1, 2 do roster.strike_off(dict, number, roster.name_at(dict, number)) end
    without.budget.requests = 1
    collectgarbage()
    roster.note_asked(dict, 2000)
    assert.is_true(roster.is_empty(dict))
  end)
end)
