local names = require("resty.switchboard.route.names")
local dict = require("resty.switchboard.route.dict")
local walk = require("resty.switchboard.route.walk")
local shared = ngx.shared.switchboard_names

local function all()
  local found = {}
  for page = 1, names.last_page(shared) do
    for _, name in ipairs(names.names_on(shared, page)) do found[#found + 1] = name end
  end
  table.sort(found)
  return found
end

local function stored(text, old)
  return { loaded = ngx.now(), fresh = 10, held = false, epoch = 0, stamp = 0, page = old and old.page, text = text or "\1" }
end

local function go_on()
  return true
end

local function remove(page, name)
  names.remove(shared, page, name, function() return false end)
end

describe("the list of names", function()
  local dicts
  before_each(function()
    dicts = dict.open()
    for _, one in ipairs { shared, dicts.routes } do
      one:flush_all()
      one:flush_expired()
    end
  end)

  -- A name is found by its bytes and its length before them, which may be those of a letter.
  it("tells a name from the same bytes within a longer one", function()
    local short = ("x"):rep(97)
    local long = "a" .. short .. "b"
    local page = names.add(shared, long)
    assert.is_false(names.has(shared, page, short))
    assert.equal(page, names.add(shared, short))
    assert.is_true(names.has(shared, page, short))
    remove(page, short)
    assert.same({ long }, names.names_on(shared, page))
  end)

  it("has every route once, however often it is written", function()
    for _ = 1, 3 do
      for _, name in ipairs { "a.example", "b.example" } do
        assert(dict.write_route(dicts, name, stored("\1", dict.read_route(dicts, name))))
      end
    end
    assert.same({ "a.example", "b.example" }, all())
    assert.equal(2, names.count(shared))
  end)

  it("has a route once that two loads have given places to", function()
    local first = names.add(shared, "a.example")
    for i = 1, 100 do assert(dict.write_route(dicts, ("r%d.example"):format(i), stored())) end
    local second = names.add(shared, "a.example")
    assert.are_not.equal(first, second)
    assert(dict.write_route(dicts, "a.example", stored("\1", { page = first })))
    assert(dict.write_route(dicts, "a.example", stored("\2", { page = second })))
    assert.equal(first, dict.read_route(dicts, "a.example").page)
    assert.equal(101, names.count(shared))
    assert.is_false(names.has(shared, second, "a.example"))
  end)

  it("has a new route once, whatever became of its place meanwhile", function()
    -- Nothing.
    local since = names.removals(shared)
    local page = names.add(shared, "a.example")
    assert(dict.write_route(dicts, "a.example", stored("\1", { page = page }), since))
    assert.same({ "a.example" }, all())
    assert.equal(page, dict.read_route(dicts, "a.example").page)
    -- Another load was quicker, and has given it another one.
    for i = 1, 100 do names.add(shared, ("r%d.example"):format(i)) end
    since = names.removals(shared)
    local second = names.add(shared, "a.example")
    assert.are_not.equal(page, second)
    assert(dict.write_route(dicts, "a.example", stored("\2", { page = second }), since))
    assert.equal("\2", dict.read_route(dicts, "a.example").text)
    assert.equal(page, dict.read_route(dicts, "a.example").page)
    assert.is_false(names.has(shared, second, "a.example"))
    -- A walk has taken it for a leftover.
    since = names.removals(shared)
    local third = names.add(shared, "b.example")
    remove(third, "b.example")
    assert(dict.write_route(dicts, "b.example", stored("\1", { page = third }), since))
    assert.is_true(names.has(shared, dict.read_route(dicts, "b.example").page, "b.example"))
    -- It was there, and is gone again.
    dict.delete_route(dicts, "a.example")
    assert.is_false(names.has(shared, page, "a.example"))
  end)

  it("uses the pages of deleted routes again", function()
    for round = 1, 50 do
      for i = 1, 200 do assert(dict.write_route(dicts, ("r%d-%d.example"):format(round, i), stored())) end
      assert.equal(200, names.count(shared))
      for i = 1, 200 do dict.delete_route(dicts, ("r%d-%d.example"):format(round, i)) end
    end
    assert.same({}, all())
    assert.is_true(names.last_page(shared) < 10)
    assert.equal(0, names.count(shared))
  end)

  it("stays small while routes come and go", function()
    math.randomseed(9)
    local known, count = {}, 0
    for round = 1, 20000 do
      local name = ("r%d.example"):format(math.random(1000))
      if known[name] then
        dict.delete_route(dicts, name)
        known[name], count = nil, count - 1
      elseif count < 300 then
        assert(dict.write_route(dicts, name, stored()))
        known[name], count = true, count + 1
      end
    end
    local left = {}
    for name in pairs(known) do left[#left + 1] = name end
    table.sort(left)
    assert.same(left, all())
    assert.equal(count, names.count(shared))
    -- A page has room for 30 of these.
    assert.is_true(names.last_page(shared) <= 40, names.last_page(shared))
  end)

  it("takes a name only off the page where it stands", function()
    local page = names.add(shared, "a.example")
    remove(page, "b.example")
    remove(page + 1, "a.example")
    assert.same({ "a.example" }, names.names_on(shared, page))
    assert.equal(1, names.count(shared))
  end)

  it("takes 31 bytes a name", function()
    local before = shared:free_space()
    local wanted = {}
    for i = 1, 20000 do wanted[i] = ("app-%06d.bench.example"):format(i) end
    local pages = names.add_all(shared, wanted)
    for _, name in ipairs(wanted) do assert.is_true(names.has(shared, pages[name], name)) end
    assert.equal(20000, names.count(shared))
    local bytes = (before - shared:free_space()) / 20000
    assert.is_true(bytes <= 31, bytes)
  end)

  it("takes names of any bytes and length", function()
    local wanted = { "\0", "\1a", "a\nb", ("x"):rep(216), ("y"):rep(217), ("z"):rep(500) .. "/" .. ("p"):rep(3500), "", "last.example" }
    local pages = names.add_all(shared, wanted)
    for _, name in ipairs(wanted) do assert.is_true(names.has(shared, pages[name], name), name) end
    table.sort(wanted)
    assert.same(wanted, all())
    for _, name in ipairs(wanted) do remove(pages[name], name) end
    assert.same({}, all())
    assert.equal(0, names.count(shared))
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
    assert(dict.write_route(seen, "a.example", stored()))
    assert.same({ "a.example" }, all())
    assert.is_true(names.has(shared, dict.read_route(dicts, "a.example").page, "a.example"))
    assert.equal(1, names.count(shared))
  end)

  it("keeps a name whose route comes while it is tidied up", function()
    names.add(shared, "a.example")
    local late = setmetatable({
      routes = disturbed("get", function() dict.write_route(dicts, "a.example", stored("\1", { page = 1 })) end),
    }, { __index = dicts })
    dict.tidy(late, 1, "a.example")
    local page = dict.read_route(dicts, "a.example").page
    assert.is_true(names.has(shared, page, "a.example"))
  end)

  it("takes off the name that has no route", function()
    names.add(shared, "a.example")
    dict.tidy(dicts, 1, "a.example")
    assert.same({}, all())
    assert.equal(0, names.count(shared))
  end)

  it("evicts nothing when it is full, and the route is written all the same", function()
    local count = 0
    while names.add(shared, ("name-%d.example"):format(count)) > 0 do count = count + 1 end
    assert.is_true(count > 10000)
    assert.equal(count, #all())
    assert.equal(count, names.count(shared))
    assert(dict.write_route(dicts, "late.example", stored()))
    assert.equal(0, dict.read_route(dicts, "late.example").page)
    -- What is taken off makes room.
    for page = 1, 2 do
      for _, name in ipairs(names.names_on(shared, page)) do remove(page, name) end
    end
    assert(dict.write_route(dicts, "late.example", stored("\1", dict.read_route(dicts, "late.example"))))
    assert.is_true(dict.read_route(dicts, "late.example").page > 0)
    shared:flush_all()
    shared:flush_expired()
  end)

  it("is written under a lock; who finds it taken puts a name on a page of its own, and takes none off", function()
    local first = names.add(shared, "a.example")
    shared:set("lock", true, 1)
    local second = names.add(shared, "b.example")
    assert.not_equal(first, second)
    remove(first, "a.example")
    assert.same({ "a.example", "b.example" }, all())
    shared:delete("lock")
    remove(first, "a.example")
    remove(second, "b.example")
    assert.same({}, all())
    assert.equal(0, names.count(shared))
  end)

  it("has a route once that two workers have read at the same time, however many came between", function()
    assert(dict.write_route(dicts, "a.example", stored()))
    for i = 1, 100 do assert(dict.write_route(dicts, ("r%d.example"):format(i), stored())) end
    assert(dict.write_route(dicts, "a.example", stored("\2")))
    assert.equal(101, names.count(shared))
    assert.equal(101, #all())
  end)

  it("gives a route that was lost from it a place again", function()
    assert(dict.write_route(dicts, "a.example", stored()))
    local old = dict.read_route(dicts, "a.example")
    remove(old.page, "a.example")
    assert(dict.write_route(dicts, "a.example", stored("\1", old)))
    assert.same({ "a.example" }, all())
  end)

  describe("when it is walked", function()
    it("shows every route once, between pauses", function()
      local wanted = {}
      for i = 1, 1000 do
        wanted[i] = ("r%04d.example"):format(i)
        assert(dict.write_route(dicts, wanted[i], stored("\1" .. i)))
      end
      local seen, pauses = {}, 0
      assert.is_true(walk.walk(dicts, function()
        pauses = pauses + 1
        return true
      end, function(name, route)
        seen[#seen + 1] = name
        assert.equal("\1" .. #seen, route.text)
        return true
      end))
      assert.same(wanted, seen)
      assert.is_true(pauses >= 6, pauses)
    end)

    it("ends when it is told to", function()
      for i = 1, 1000 do assert(dict.write_route(dicts, ("r%d.example"):format(i), stored())) end
      local seen = 0
      assert.is_false(walk.walk(dicts, go_on, function()
        seen = seen + 1
        return seen < 5
      end))
      assert.equal(5, seen)
      assert.is_false(walk.walk(dicts, function() return false end, go_on))
    end)

    it("loses the names that evictions have left behind, and those that stand in two places", function()
      for i = 1, 100 do assert(dict.write_route(dicts, ("r%d.example"):format(i), stored())) end
      for i = 1, 50 do dicts.routes:delete(("r%d.example"):format(i)) end
      for i = 1, 10 do assert(dict.write_route(dicts, ("r%d.example"):format(i), stored())) end
      local seen = {}
      walk.walk(dicts, go_on, function(name)
        assert.is_nil(seen[name])
        seen[name] = true
        return true
      end)
      assert.equal(60, names.count(shared))
      assert.equal(60, #all())
    end)
  end)
end)
