local names = require("resty.switchboard.route.names")
local dict = require("resty.switchboard.route.dict")
local shared = ngx.shared.switchboard_names

local function all()
  local found = {}
  for slot = 1, names.last_slot(shared) do found[#found + 1] = names.at(shared, slot) end
  table.sort(found)
  return found
end

local function stored(body)
  return { loaded = ngx.now(), fresh = 10, held = false, epoch = 0, stamp = 0, text = "\n" .. body, lives = "", body = body }
end

describe("the list of names", function()
  local dicts
  before_each(function()
    shared:flush_all()
    shared:flush_expired()
    dicts = dict.open()
    dicts.routes:flush_all()
  end)

  it("has every route once, however often it is written", function()
    for _ = 1, 3 do
      for _, name in ipairs { "a.example", "b.example" } do
        local route = stored("b\n10.0.0.1:80")
        local old = dict.read_route(dicts, name)
        route.slot = old and old.slot
        assert(dict.write_route(dicts, name, route))
      end
    end
    assert.same({ "a.example", "b.example" }, all())
    assert.equal(2, names.count(shared))
  end)

  it("uses the slots of deleted routes again", function()
    for round = 1, 50 do
      for i = 1, 10 do assert(dict.write_route(dicts, ("r%d-%d.example"):format(round, i), stored("b"))) end
      for i = 1, 10 do dict.delete_route(dicts, ("r%d-%d.example"):format(round, i)) end
    end
    assert.same({}, all())
    assert.equal(10, names.last_slot(shared))
    assert.equal(0, names.count(shared))
  end)

  it("gives a slot free only for the name that has it", function()
    local slot = names.add(shared, "a.example")
    names.remove(shared, slot, "b.example")
    assert.equal("a.example", names.at(shared, slot))
  end)

  --- The dict of routes, in which something happens before a call of a method goes through.
  local function disturbed(method, happens)
    local once = happens
    return setmetatable({}, {
      __index = function(_, key)
        return function(_, ...)
          if key == method and once then
            once = once()
          end
          return dicts.routes[key](dicts.routes, ...)
        end
      end,
    })
  end

  it("loses no name whose route is written while another worker tidies up", function()
    local seen = setmetatable({
      routes = disturbed("set", function() dict.tidy(dicts, 1, "a.example") end),
    }, { __index = dicts })
    assert(dict.write_route(seen, "a.example", stored("b")))
    assert.same({ "a.example" }, all())
    assert.equal("a.example", names.at(shared, dict.read_route(dicts, "a.example").slot))
    assert.equal(1, names.count(shared))
  end)

  it("keeps a name whose route comes while it is tidied up", function()
    names.add(shared, "a.example")
    local late = setmetatable({
      routes = disturbed("get", function()
        local route = stored("b")
        route.slot = 1
        dict.write_route(dicts, "a.example", route)
      end),
    }, { __index = dicts })
    dict.tidy(late, 1, "a.example")
    assert.same({ "a.example" }, all())
    assert.equal(1, names.count(shared))
  end)

  it("frees the slot of a name that has no route", function()
    names.add(shared, "a.example")
    dict.tidy(dicts, 1, "a.example")
    assert.same({}, all())
    assert.equal(0, names.count(shared))
  end)

  it("evicts nothing when it is full, and the route is written all the same", function()
    local count = 0
    while names.add(shared, ("name-%d.example"):format(count)) do count = count + 1 end
    assert.is_true(count > 1000)
    assert.equal(count, #all())
    assert(dict.write_route(dicts, "late.example", stored("b")))
    assert.equal(0, dict.read_route(dicts, "late.example").slot)
    shared:flush_all()
    shared:flush_expired()
  end)
end)
