-- What every layout owes the router, whatever stands in Redis.

local codec = require("resty.switchboard.route.codec")
local create_layouts = require("resty.switchboard.schema.layouts").create_layouts
local layout = require("resty.switchboard.schema.layout")
local read_config = require("resty.switchboard.config").read_config

local NAMES = { "native", "hipache", "planb", "dinp" }
local WRONG = { false, "WRONGTYPE Operation against a key holding the wrong kind of value" }
local NOBODY = { "a.example", "*.example", "*", "@pool", "a.example/api", "a.example/api#@pool", "10.0.0.1", "2001:db8::1", "a.example:8080" }

local function layout_of(name)
  return create_layouts(read_config({ schema = name }, 2))[1]
end

-- An empty reply to a command.
local function nothing(command)
  if command[1] == "GET" then return ngx.null end
  return {}
end

local function replies_to(commands, reply)
  local replies = {}
  for i, command in ipairs(commands) do replies[i] = reply(command, i) end
  return replies
end

local function decode(one, name, reply, last)
  local commands = one.read(name, nil)
  if #commands == 0 then return nil, nil end
  return one.decode(name, nil, replies_to(commands, reply), 0, last)
end

-- What makes a.example known with these instances.
local GOOD = {
  native = function(list)
    return function(command)
      if command[1] == "SMEMBERS" and command[2] == "backends:a.example" then return list end
      return command[1] == "ZRANGE" and WRONG or nothing(command)
    end
  end,
  hipache = function(list)
    return function(command)
      if command[1] ~= "LRANGE" then return nothing(command) end
      local urls = { "id" }
      for i, text in ipairs(list) do urls[i + 1] = "http://" .. text end
      return urls
    end
  end,
  dinp = function(list)
    return function(command) return command[1] == "LRANGE" and list or nothing(command) end
  end,
}
GOOD.planb = GOOD.hipache

for _, schema in ipairs(NAMES) do
  describe("the layout " .. schema, function()
    local one = layout_of(schema)

    it("knows no name of which Redis has nothing", function()
      for _, name in ipairs(NOBODY) do
        local record, err = decode(one, name, nothing)
        -- A pool within a route stands in the route's own keys.
        if not name:find("#", 1, true) then assert.is_nil(record, name) end
        assert.is_nil(err)
      end
    end)

    it("reads instances, in one order whatever theirs was, each once", function()
      local first = decode(one, "a.example", GOOD[schema] { "10.0.0.2:80", "10.0.0.1:8080", "[2001:db8::1]:81", "10.0.0.2:80" })
      local second = decode(one, "a.example", GOOD[schema] { "[2001:db8::1]:81", "10.0.0.2:80", "10.0.0.1:8080" })
      assert.equal(3, #first.instances)
      assert.equal(codec.encode(first), codec.encode(second))
      first.problems = {}
      assert.same(first.instances, codec.decode(codec.encode(first), codec.encode_lives(first)).instances)
      assert.equal(first.schema, codec.decode(codec.encode(first), "").schema)
    end)

    it("leaves out what is no instance, says why, and serves the good ones", function()
      local record = decode(one, "a.example", GOOD[schema] { "10.0.0.1:80", "10.0.0.2:99999", "a b:80", "\0\255", "", "host_only:", ("x"):rep(3000) })
      assert.equal(1, #record.instances)
      assert.equal("10.0.0.1", record.instances[1].host)
      assert.is_true(#record.problems >= 5, #record.problems)
      for _, problem in ipairs(record.problems) do assert.is_truthy(problem.key:find("a.example", 1, true)) end
    end)

    it("concludes nothing from a refusal", function()
      local record, err = decode(one, "a.example", function() return { false, "NOPERM this user has no permissions" } end)
      assert.is_nil(record)
      assert.is_truthy(err:find("NOPERM", 1, true))
    end)

    it("raises nothing when every key is of another type, and says which", function()
      local record, err = decode(one, "a.example", function() return WRONG end)
      assert.is_nil(err)
      assert.is_true(record == nil or #record.problems >= 1)
    end)

    it("asks about the names that changed keys mean", function()
      for _, name in ipairs { "a.example", "*.example" } do
        for _, command in ipairs(one.read(name, nil)) do
          local names = {}
          one.add_names(names, command[2])
          local found = false
          for _, meant in ipairs(names) do found = found or meant == name end
          assert.is_true(found, command[2])
          local watched = false
          for _, prefix in ipairs(one.prefixes) do watched = watched or command[2]:sub(1, #prefix) == prefix end
          assert.is_true(watched, command[2])
        end
      end
    end)

    it("raises nothing and takes bounded time, whatever the replies are", function()
      math.randomseed(31)
      local function junk(depth)
        local kind = math.random(9)
        if kind == 1 then return ngx.null end
        if kind == 2 then return math.random(-5, 5) end
        if kind == 3 then return { false, "WRONGTYPE x" } end
        if kind <= 6 or depth > 2 then
          local bytes = {}
          for i = 1, math.random(0, 30) do bytes[i] = string.char(math.random(0, 255)) end
          return table.concat(bytes)
        end
        local list = {}
        for i = 1, math.random(0, 9) do list[i] = junk(depth + 1) end
        return list
      end
      for _ = 1, 3000 do
        for _, name in ipairs(NOBODY) do
          local record = decode(one, name, function() return junk(0) end)
          if record ~= nil then codec.decode(codec.encode(record), codec.encode_lives(record)) end
        end
      end
    end)

    it("takes 10,000 members and a member of 1 MB", function()
      local list = { ("x"):rep(1048576) }
      for i = 1, 10000 do list[i + 1] = ("10.%d.%d.1:80"):format(math.floor(i / 250), i % 250) end
      ngx.update_time()
      local began = ngx.now()
      local record = decode(one, "a.example", GOOD[schema](list))
      ngx.update_time()
      assert.equal(10000, #record.instances)
      assert.is_true(ngx.now() - began < 2)
    end)
  end)
end

describe("hipache's list", function()
  local one = layout_of("hipache")
  local function read(list, marks, last)
    return decode(one, "a.example", function(command)
      if command[1] == "LRANGE" then return list end
      if command[1] == "SMEMBERS" then return marks end
      return nothing(command)
    end, last)
  end

  it("has backends by URL: a port by the scheme, a path that does not count", function()
    local record = read({ "id", "http://10.0.0.1", "https://10.0.0.2/x?y", "HTTP://10.0.0.3:81/", "http://[2001:db8::1]", "10.0.0.4:80", "ftp://10.0.0.5:21" }, {})
    local found = {}
    for i, instance in ipairs(record.instances) do found[i] = ("%s %s %d"):format(instance.tls, instance.host, instance.port) end
    table.sort(found)
    assert.same({ "false 10.0.0.1 80", "false 10.0.0.3 81", "false 2001:db8::1 80", "true 10.0.0.2 443" }, found)
    assert.equal(2, #record.problems)
  end)

  it("of the id alone is a route without instances; planb has no such", function()
    assert.is_false(read({ "id" }, {}).paths_only)
    assert.same({}, read({ "id" }, {}).instances)
    assert.is_true(decode(layout_of("planb"), "a.example", function(command) return command[1] == "LRANGE" and { "id" } or nothing(command) end).paths_only)
  end)

  it("has dead ones by index; what is no index means nobody", function()
    local record = read({ "id", "http://10.0.0.1:80", "http://10.0.0.2:80" }, { "1", "x", "-1", "7", "1e0", "", "99999999999" })
    assert.is_nil(record.instances[1].dead)
    assert.is_true(record.instances[2].dead)
    assert.same({ ["1"] = "http://10.0.0.2:80" }, record.marks)
  end)

  -- F2: LREM moves the second backend to the index that is marked.
  it("keeps a backend alive that has moved to a marked index", function()
    local before = read({ "id", "http://10.0.0.1:80", "http://10.0.0.2:80" }, { "0" })
    before = codec.decode(codec.encode(before), "")
    local after = read({ "id", "http://10.0.0.2:80" }, { "0" }, before)
    assert.equal(1, #after.instances)
    assert.is_nil(after.instances[1].dead)
    after = codec.decode(codec.encode(after), "")
    assert.is_nil(read({ "id", "http://10.0.0.2:80" }, { "0" }, after).instances[1].dead)
    -- The mark ended; a new one means who stands there now.
    local ended = read({ "id", "http://10.0.0.2:80" }, {}, after)
    assert.is_nil(ended.marks)
    assert.is_true(read({ "id", "http://10.0.0.2:80" }, { "0" }, ended).instances[1].dead)
  end)

  it("may be meant by marks of a host that has none: they are all that is known of it", function()
    local record = read({}, { "1" })
    assert.same({ "1" }, record.marks_alone)
    assert.same({}, record.instances)
    assert.is_nil(read({}, {}))
    assert.is_nil(decode(one, "*.example", function(command) return command[1] == "SMEMBERS" and { "1" } or nothing(command) end))
  end)

  -- Both sets count, and each is remembered where it stands.
  it("is a host's under marks of its own, beside those of the pattern", function()
    local put_under_marks = require("resty.switchboard.schema.dead").put_under_marks
    local function pattern() return read({ "id", "http://10.0.0.1:80", "http://10.0.0.2:80/", "http://10.0.0.3:80" }, { "2" }) end
    local record = pattern()
    assert.is_true(put_under_marks(record, "*.example", { "1", "9", "x" }, nil))
    local dead = {}
    for i, instance in ipairs(record.instances) do dead[i] = instance.dead == true end
    assert.same({ false, true, true }, dead)
    assert.same({ ["1"] = "http://10.0.0.2:80/" }, record.marks)
    local kept = codec.decode(codec.encode(record))
    assert.equal("*.example", kept.under)
    -- The list has moved: the mark that is remembered means nobody in it.
    local moved = read({ "id", "http://10.0.0.2:80/", "http://10.0.0.3:80" }, {})
    assert.is_true(put_under_marks(moved, "*.example", { "1" }, kept.marks))
    for _, instance in ipairs(moved.instances) do assert.is_nil(instance.dead) end
    assert.is_false(put_under_marks(pattern(), "*.example", { "x" }, kept.marks))
  end)

  it("has patterns of at most six labels, and planb's hosts have ports instead", function()
    assert.is_nil(one.ask_known("*.b.c.d.e.f.g.h"))
    assert.is_table(one.ask_known("*.c.d.e.f.g.h"))
    assert.is_nil(one.ask_known("a.example:8080"))
    assert.is_nil(layout_of("planb").ask_known("*.example"))
    assert.is_table(layout_of("planb").ask_known("a.example:8080"))
  end)

  it("has its names in keys, and not in the leases of planb's checker", function()
    local names = {}
    for _, key in ipairs { "frontend:a.example", "dead:*.example", "dead:a.example:http://10.0.0.1:80", "frontend:", "dead", "route:b.example", "frontend:h:8080" } do
      one.add_names(names, key)
    end
    assert.same({ "a.example", "*.example", "b.example", "h:8080" }, names)
  end)
end)

describe("planb's healthcheck", function()
  local one = layout_of("planb")
  local function read(fields, options, last)
    return decode(one, "a.example", function(command)
      if command[1] == "LRANGE" then return { "id", "http://10.0.0.1:80" } end
      if command[2] == "healthcheck:a.example" then return fields end
      if command[2] == "route:a.example" then return options or {} end
      return {}
    end, last)
  end

  it("says how the backends are checked, in the words of the options", function()
    for _, case in ipairs {
      { {}, nil },
      { { "path", "/up" }, { check = "http:/up", check_status = "100-599" } },
      { { "path", "up", "status", "0", "body", "" }, { check = "http:/up", check_status = "100-599" } },
      { { "status", "200", "body", "WORKING" }, { check = "http:/", check_status = "200", check_body = "WORKING" } },
    } do
      local record = read(case[1])
      assert.same(case[2], record.options.policy)
      assert.same({}, record.problems)
    end
  end)

  it("leaves to the host's own options what they say", function()
    assert.same({ check = "tcp" }, read({ "path", "/up" }, { "check", "tcp" }).options.policy)
    assert.same({ check = "off" }, read({ "path", "/up" }, { "check", "off" }).options.policy)
    assert.same({ check = "http:/up", check_status = "204" }, read({ "path", "/up" }, { "check_status", "204" }).options.policy)
  end)

  it("is skipped where it is wrong, and its last good value stays", function()
    local record = read({ "path", "/a b", "status", "999" })
    assert.is_nil(record.options.policy)
    assert.same({ "healthcheck:a.example", "healthcheck:a.example" }, { record.problems[1].key, record.problems[2].key })
    local last = read({ "path", "/up", "status", "200" })
    assert.same(last.options.policy, read({ "path", "/a b", "status", "999" }, nil, last).options.policy)
    assert.equal("must be a hash", read(WRONG).problems[1].reason)
  end)

  it("is planb's alone", function()
    for _, command in ipairs(layout_of("hipache").read("a.example", nil)) do assert.is_nil(command[2]:find("healthcheck", 1, true)) end
    local names = {}
    one.add_names(names, "healthcheck:a.example")
    layout_of("hipache").add_names(names, "healthcheck:b.example")
    assert.same({ "a.example" }, names)
  end)
end)

describe("DINP's keys", function()
  local one = layout_of("dinp")
  local function read(list, cname)
    return decode(one, "a.example", function(command) return command[1] == "LRANGE" and list or cname end)
  end

  it("lead over one cname, and only to a list", function()
    assert.equal("@demo.apps.io", read({}, "/rs/demo.apps.io").options.pool)
    assert.is_nil(read({ "10.0.0.1:80" }, "/rs/demo.apps.io").options.pool)
    for _, bad in ipairs { "/cname/x", "/rs/", "/rs/a/b", "demo", "/rs/a b" } do
      local record = read({}, bad)
      assert.is_true(record.paths_only)
      assert.equal(1, #record.problems)
    end
  end)

  it("mean a name, and whoever points to it", function()
    local names = {}
    for _, key in ipairs { "/rs/a.io", "/cname/b.io", "foo", "/x/y", "/rs/", "/rs/a/b" } do one.add_names(names, key) end
    assert.same({ "a.io", "@a.io", "b.io" }, names)
  end)
end)

describe("several layouts", function()
  it("are watched without overlaps, and a key may mean names in each", function()
    local layouts = create_layouts(read_config({ schema = "native,hipache,dinp" }, 2))
    local prefixes = layout.prefixes_of(layouts, { "switchboard:wiped" })
    for i, prefix in ipairs(prefixes) do
      for j, other in ipairs(prefixes) do assert.is_true(i == j or prefix:sub(1, #other) ~= other) end
    end
    assert.same({ "a.example" }, layout.names_of_keys(layouts, { "frontend:a.example" }))
    assert.same({ "a.example", "@a.example" }, layout.names_of_keys(layouts, { "/rs/a.example" }))
  end)

  it("are named once each", function()
    for _, bad in ipairs { "native,native", "", "redis", "native,,dinp" } do
      assert.is_false(pcall(read_config, { schema = bad }, 2), bad)
    end
  end)
end)

describe("names within one layout", function()
  local scope = require("resty.switchboard.schema.scope")
  local patterns = require("resty.switchboard.route.host").patterns
  local layouts = create_layouts(read_config({ schema = "native", server_schemas = "native,hipache,dinp" }, 2))

  it("come apart and together again, whatever they are", function()
    for _, name in ipairs { "a.example", "*.example", "*", "@pool", "a.example/api", "a.example/a%20b", "a.example/api#@pool", "a.example#@pool", "2001:db8::1" } do
      for _, schema in ipairs(NAMES) do
        local scoped = scope.with_scope(name, schema)
        local base, own = scope.split_scope(scoped)
        assert.equal(name, base)
        assert.equal(schema, own)
      end
      local base, own = scope.split_scope(name)
      assert.equal(name, base)
      assert.is_nil(own)
    end
  end)

  it("have the patterns of their layout", function()
    assert.same({ "*.b.example%dinp", "*.example%dinp", "*%dinp" }, patterns("a.b.example%dinp"))
  end)

  it("are read from their layout's keys alone", function()
    local function keys(name)
      local found = {}
      for _, one in ipairs(layouts) do
        for _, command in ipairs(one.read(name, "set")) do found[#found + 1] = command[2] end
      end
      return found
    end
    assert.same({ "instances:a.example", "route:a.example", "paths:a.example", "backends:a.example" }, keys("a.example"))
    assert.same(keys("a.example"), keys("a.example%native"))
    assert.same({ "frontend:a.example", "dead:a.example", "route:a.example", "instances:a.example" }, keys("a.example%hipache"))
    assert.same({ "/rs/a.example", "/cname/a.example" }, keys("a.example%dinp"))
    assert.same({}, keys("a.example%planb"))
  end)

  it("are what a changed key means, in every scope that has it", function()
    -- hipache's options stand in native keys.
    assert.same({ "a.example", "a.example%native", "a.example%hipache" }, layout.names_of_keys(layouts, { "route:a.example" }))
    assert.same({ "a.example%dinp", "@a.example%dinp" }, layout.names_of_keys(layouts, { "/rs/a.example" }))
  end)
end)
