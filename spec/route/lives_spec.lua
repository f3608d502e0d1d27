local lives = require("resty.switchboard.route.lives")

describe("the lives of heart-beating instances", function()
  it("come back as they were", function()
    math.randomseed(3)
    local cases = {
      {}, { 0 }, { false }, { 1700000000 }, { 1700000000, 1700000003, 1699999990 }, { 1700000000.25, 1700000000 }, { -5 }, { 1e15 },
      { math.huge, 1700000000 }, { false, 1700000000, false }, { 2 ^ 40 - 1, 0, 2 ^ 40 - 1 },
    }
    for _ = 1, 1000 do
      local case = {}
      for i = 1, math.random(0, 6) do
        case[i] = ({ math.random(2 ^ 31), 1700000000 + math.random(60), math.random() * 2 ^ 31, false })[math.random(2) + math.random(0, 2)]
        if case[i] then case[i] = tonumber(("%.14g"):format(case[i])) end
      end
      cases[#cases + 1] = case
    end
    for _, case in ipairs(cases) do assert.same(case, lives.unpack_lives(lives.pack_lives(case))) end
  end)

  it("take a few bytes", function()
    assert.equal(0, #lives.pack_lives {})
    assert.is_true(#lives.pack_lives { 1700000000, 1700000010, 1700000005 } <= 8)
  end)

  it("are shortened when an instance ends before it did", function()
    local function shortens(before, after)
      return lives.shortens(lives.pack_lives(before), lives.pack_lives(after))
    end
    assert.is_false(shortens({}, {}))
    assert.is_false(shortens({ 1700000000 }, { 1700000010 }))
    assert.is_true(shortens({ 1700000010 }, { 1700000000 }))
    assert.is_false(shortens({ 1700000000.5, 5 }, { 1700000000.75, 5 }))
    assert.is_true(shortens({ 1700000000, 1700000000 }, { 1700000010, 1699999999.5 }))
    assert.is_true(shortens({ false }, { 1700000000 }))
    assert.is_false(shortens({ 1700000000 }, { false }))
  end)
end)
