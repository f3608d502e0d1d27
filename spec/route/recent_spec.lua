local recent = require("resty.switchboard.route.recent")

describe("a bounded map", function()
  it("never holds more than it may, and keeps what is used", function()
    local map = recent.create(100)
    recent.set(map, "used", 0)
    for i = 1, 10000 do
      recent.set(map, "name" .. i, i)
      assert.equal(0, recent.get(map, "used"))
    end
    local held = 0
    for i = 1, 10000 do
      if map.young["name" .. i] or map.old["name" .. i] then held = held + 1 end
    end
    assert.is_true(held < 100)
    assert.is_true(held >= 48)
  end)

  it("forgets what is removed from either generation", function()
    local map = recent.create(4)
    for i = 1, 3 do recent.set(map, "n" .. i, i) end
    for i = 1, 3 do recent.remove(map, "n" .. i) end
    for i = 1, 3 do assert.is_nil(recent.get(map, "n" .. i)) end
  end)

  it("counts its places right when one name is set, removed and read at random", function()
    math.randomseed(7)
    local map, model = recent.create(1000), {}
    for _ = 1, 20000 do
      local name, what = "n" .. math.random(100), math.random(3)
      if what == 1 then
        local value = math.random(1000)
        recent.set(map, name, value)
        model[name] = value
      elseif what == 2 then
        recent.remove(map, name)
        model[name] = nil
      else
        assert.equal(model[name], recent.get(map, name))
      end
    end
  end)
end)
