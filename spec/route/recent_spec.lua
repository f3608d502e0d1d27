local recent = require("resty.switchboard.route.recent")

local function held_of(map)
  local held = 0
  for _, generation in ipairs { map.young, map.old } do
    for _ in pairs(generation) do held = held + 1 end
  end
  return held
end

describe("a bounded map", function()
  it("keeps as many as it may, never more, and of them what is used", function()
    math.randomseed(7)
    local map, used, losses = recent.create(100), {}, 0
    local function use(name)
      if recent.get(map, name) == nil then
        losses = losses + 1
        recent.set(map, name, 0)
      end
    end
    for i = 1, 50 do
      used[i] = "used" .. i
      recent.set(map, used[i], 0)
    end
    for i = 1, 2000 do
      recent.set(map, "name" .. i, i)
      for last = 50, 1, -1 do
        local at = math.random(last)
        used[at], used[last] = used[last], used[at]
        use(used[last])
      end
      assert.equal(math.min(i + 50, 100), held_of(map))
    end
    -- A turn is 50 new names. At its start all were used since the last: whoever the hash has first goes until it is used
    -- again, which may cost another its place that was not: four of them for an unlucky seed of the hash, for most none. Who
    -- forgets the oldest, used or not, loses all fifty.
    assert.is_true(losses < 2000 / 50 * 12, losses .. " losses")
  end)

  it("keeps all of as many as it may hold, however they are asked for", function()
    local map = recent.create(100)
    for i = 1, 1000 do recent.set(map, "before" .. i, i) end
    for i = 1, 100 do recent.set(map, "name" .. i, i) end
    for _ = 1, 10 do
      for i = 1, 100 do assert.equal(i, recent.get(map, "name" .. i)) end
    end
  end)

  it("misses some of a few more than it may hold, and not all", function()
    local map, misses = recent.create(1000), 0
    for turn = 1, 20 do
      for i = 1, 1050 do
        if recent.get(map, "name" .. i) == nil then
          recent.set(map, "name" .. i, i)
          misses = misses + (turn > 1 and 1 or 0)
        end
      end
    end
    assert.is_true(misses >= 19 * 50)
    assert.is_true(misses < 19 * 1050 / 2, misses .. " misses")
  end)

  it("forgets what is removed from either generation", function()
    local map = recent.create(4)
    for i = 1, 5 do recent.set(map, "n" .. i, i) end
    for i = 1, 5 do recent.remove(map, "n" .. i) end
    for i = 1, 5 do assert.is_nil(recent.get(map, "n" .. i)) end
    assert.equal(0, held_of(map))
    for i = 1, 5 do recent.set(map, "n" .. i, i) end
    recent.clear(map)
    assert.equal(0, held_of(map))
    for i = 1, 9 do recent.set(map, "n" .. i, i) end
    assert.equal(4, held_of(map))
  end)

  it("counts its places right when names are set, removed and read at random", function()
    math.randomseed(7)
    for _, names in ipairs { 100, 1500 } do
      local map, model = recent.create(1000), {}
      for _ = 1, 20000 do
        local name, what = "n" .. math.random(names), math.random(3)
        if what == 1 then
          local value = math.random(1000)
          recent.set(map, name, value)
          model[name] = value
        elseif what == 2 then
          recent.remove(map, name)
          model[name] = nil
        else
          local found = recent.get(map, name)
          if found ~= nil or names < 1000 then assert.equal(model[name], found) end
        end
      end
      collectgarbage()
      assert.equal(map.count, held_of(map))
      assert.is_true(map.count <= 1000)
    end
  end)
end)
