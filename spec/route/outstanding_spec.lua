local fence = require("resty.switchboard.route.fence")
local outstanding = require("resty.switchboard.route.outstanding")
local state = ngx.shared.switchboard_state

describe("names that have changed and were not read since", function()
  local names, left

  --- Names under one counter.
  local function alike(count)
    local found, i = { "app-0.example" }, 0
    while #found < count do
      i = i + 1
      local name = ("app-%d.example"):format(i)
      if fence.number_of(name) == fence.number_of(found[1]) then found[#found + 1] = name end
    end
    return found
  end

  local function change(name)
    fence.bump(state, name)
    outstanding.note_change(left, name)
  end

  before_each(function()
    state:flush_all()
    left = outstanding.create(state)
    names = alike(3)
  end)

  it("keep their counter unsettled until the last of them was read", function()
    change(names[1])
    change(names[2])
    change(names[1])
    outstanding.note_read(left, names[1])
    assert.is_false(fence.is_settled(state, names[3]))
    outstanding.note_read(left, names[2])
    assert.is_true(fence.is_settled(state, names[3]))
    change(names[2])
    assert.is_false(fence.is_settled(state, names[3]))
  end)

  it("are not those that nobody knows: these settle their counter unless others are left", function()
    fence.bump(state, names[1])
    outstanding.note_stranger(left, names[1])
    assert.is_true(fence.is_settled(state, names[3]))
    change(names[2])
    fence.bump(state, names[1])
    outstanding.note_stranger(left, names[1])
    assert.is_false(fence.is_settled(state, names[3]))
  end)

  it("are forgotten when they were read, and a second word that they were does nothing", function()
    change(names[1])
    change(names[2])
    outstanding.note_read(left, names[1])
    outstanding.note_read(left, names[1])
    assert.is_false(fence.is_settled(state, names[3]))
    outstanding.note_read(left, names[2])
    assert.is_nil(next(left.names))
    assert.is_nil(next(left.counts))
  end)
end)
