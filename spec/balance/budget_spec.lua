local budget = require("resty.switchboard.balance.budget")

local SHARE = 0.2

-- Runs a route at a steady rate, all of whose requests want a retry, and says how many had one.
local function run(made, from, seconds, a_second)
  local granted = 0
  for i = 1, seconds * a_second do
    made.requests = made.requests + 1
    if budget.spend(made, SHARE, from + i / a_second) then granted = granted + 1 end
  end
  return granted
end

describe("a budget of retries", function()
  it("lets a route with few requests have 30 at once, and three a second from then on", function()
    local made = budget.create(0)
    assert.is_true(math.abs(run(made, 0, 1, 40) - 32) <= 2)
    run(made, 1, 30, 10)
    assert.is_true(math.abs(run(made, 31, 100, 10) - 300) <= 6)
  end)

  it("lets a busy one have a fifth of its requests, however they come", function()
    for _, a_second in ipairs { 100, 1000 } do
      local made = budget.create(0)
      run(made, 0, 60, a_second)
      local granted = run(made, 60, 60, a_second)
      assert.is_true(math.abs(granted / (60 * a_second) - SHARE) < 0.005, granted .. " at " .. a_second)
    end
  end)

  it("counts requests that came while nobody looked, and forgets those of long ago", function()
    local made = budget.create(0)
    made.requests = 10000 -- evenly in ten seconds: (1 - 1/e) of them count
    local granted = 0
    while budget.spend(made, SHARE, 10) do granted = granted + 1 end
    assert.equal(math.floor(SHARE * 10000 * (1 - math.exp(-1))), granted)
    local later = 0
    while budget.spend(made, SHARE, 1000) do later = later + 1 end
    assert.equal(30, later)
  end)

  it("keeps what it has promised, until it is taken or given back", function()
    local made = budget.create(0)
    for _ = 1, 30 do assert.is_true(budget.reserve(made, SHARE, 0)) end
    assert.is_false(budget.reserve(made, SHARE, 0))
    assert.is_false(budget.spend(made, SHARE, 0))
    budget.give_back(made)
    assert.is_true(budget.spend(made, SHARE, 0))
    budget.redeem(made)
    assert.is_false(budget.reserve(made, SHARE, 0))
    for _ = 1, 28 do budget.give_back(made) end
    local left = 0
    while budget.reserve(made, SHARE, 0) do left = left + 1 end
    assert.equal(28, left)
  end)

  it("of no share still has three a second, and a clock that goes back harms nothing", function()
    local made = budget.create(100)
    made.requests = 1000
    local granted = 0
    while budget.spend(made, 0, 50) do granted = granted + 1 end
    assert.equal(30, granted)
  end)
end)
