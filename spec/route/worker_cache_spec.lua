local worker_cache = require("resty.switchboard.route.worker_cache")

local function count(map)
  local found = 0
  for _ in pairs(map) do found = found + 1 end
  return found
end

describe("the names that entries are made of", function()
  local cache

  before_each(function()
    local state = ngx.shared.switchboard_state
    state:flush_all()
    cache = worker_cache.create(state, 100, 1, false, function() end)
  end)

  it("are forgotten with their entries, however many there ever were", function()
    for i = 1, 10000 do
      worker_cache.note_part(cache, "@pool" .. i, { valid = true })
      if i % 100 == 0 then collectgarbage() end
    end
    assert.is_true(count(cache.dependants) <= 400, count(cache.dependants) .. " are remembered")
  end)

  it("are all remembered while their entries live", function()
    local entries = {}
    for i = 1, 1000 do
      entries[i] = { valid = true }
      worker_cache.note_part(cache, "@pool" .. i, entries[i])
      worker_cache.note_part(cache, "shared.test", entries[i])
    end
    collectgarbage()
    assert.equal(1001, count(cache.dependants))
    assert.equal(1001, cache.parts)
  end)
end)
