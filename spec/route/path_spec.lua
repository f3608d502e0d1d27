local path = require("resty.switchboard.route.path")
local prefix = require("resty.switchboard.schema.prefix")

-- What the rule says, one prefix after the other: the longest one that ends where a segment of the path ends.
local function longest(prefixes, uri)
  local best
  for _, each in ipairs(prefixes) do
    if (uri == each or uri:sub(1, #each + 1) == each .. "/") and (not best or #each > #best) then best = each end
  end
  return best
end

local function found(prefixes, uri)
  local node = path.match(path.create("h", prefixes), uri)
  return node and node.name:sub(2)
end

describe("a path", function()
  local prefixes = { "/foo", "/foo/bar", "/Foo", "/a b", "/v1.0/x", "/%", "/foo/bar/baz/deep" }

  for uri, expected in pairs({
    ["/foo"] = "/foo",
    ["/foo/"] = "/foo",
    ["/foo/x"] = "/foo",
    ["/foobar"] = false,
    ["/foo/bar"] = "/foo/bar",
    ["/foo/barx"] = "/foo",
    ["/foo/bar/baz"] = "/foo/bar",
    ["/foo/bar/baz/deep/er"] = "/foo/bar/baz/deep",
    ["/Foo/bar"] = "/Foo",
    ["/FOO"] = false,
    ["/a b/c"] = "/a b",
    ["/v1.0"] = false,
    ["/v1.0/x"] = "/v1.0/x",
    ["/v1x0/x"] = false,
    ["/%"] = "/%",
    ["/"] = false,
    [""] = false,
    ["//"] = false,
    ["//foo"] = false,
    ["*"] = false,
  }) do
    it(("%q has %s"):format(uri, expected or "none"), function()
      assert.equal(expected or nil, found(prefixes, uri))
    end)
  end

  it("that falls through goes to the next shorter prefix, and from the shortest to the host", function()
    local node = path.match(path.create("h", prefixes), "/foo/bar/baz/deep")
    local names = {}
    while node do
      names[#names + 1] = node.name
      node = node.shorter
    end
    assert.same({ "h/foo/bar/baz/deep", "h/foo/bar", "h/foo" }, names)
  end)

  it("is matched as the rule says, with random prefixes and paths", function()
    math.randomseed(20261123)
    local segments = { "a", "b", "aa", "ab", "a.b", "A", "a b", "%", "é" }
    local function random_path(most)
      local text = ""
      for _ = 1, math.random(1, most) do text = text .. "/" .. segments[math.random(#segments)] end
      return text
    end
    for _ = 1, 300 do
      local list, seen = {}, {}
      for _ = 1, math.random(0, 12) do
        local one = random_path(4)
        if not seen[one] then list[#list + 1], seen[one] = one, true end
      end
      for _ = 1, 30 do
        local uri = random_path(6) .. (math.random(4) == 1 and "/" or "")
        assert.equal(longest(list, uri), found(list, uri), uri .. " of " .. table.concat(list, " "))
      end
    end
  end)

  it("is matched the same the second time, and by the thousandth path", function()
    local paths = path.create("h", prefixes)
    for round = 1, 3 do
      assert.equal("h/foo/bar", path.match(paths, "/foo/bar/baz").name)
      assert.is_nil(path.match(paths, "/foobar"))
      for i = 1, 1000 do assert.equal("h/foo", path.match(paths, "/foo/" .. i).name) end
    end
    assert.is_true(paths.matched.count <= 256)
  end)

  it("costs what it is long, not what the host has routes", function()
    local many = {}
    for i = 1, 1000 do many[i] = ("/team-%d/app"):format(i) end
    local few_root, many_root = path.create("h", { many[500] }), path.create("h", many)
    local sub, calls = string.sub, 0
    local function count(root)
      calls = 0
      string.sub = function(...)
        calls = calls + 1
        return sub(...)
      end
      local node = path.match(root, "/team-500/app/x/y/z")
      string.sub = sub
      return node.name, calls
    end
    local name, few_calls = count(few_root)
    local same, many_calls = count(many_root)
    assert.equal("h/team-500/app", name)
    assert.equal(name, same)
    assert.equal(2, few_calls)
    assert.equal(few_calls, many_calls)
  end)
end)

describe("a path prefix", function()
  for text, problem in pairs({
    ["/a"] = false,
    ["/a/b.c/é ~"] = false,
    ["/..."] = false,
    ["/.well-known"] = false,
    ["/100%"] = false,
    [""] = "begin with /",
    ["a"] = "begin with /",
    ["/"] = "name at least one segment",
    ["/a/"] = "not end with /",
    ["//a"] = "empty segments",
    ["/a//b"] = "empty segments",
    ["/a/./b"] = "empty segments",
    ["/a/.."] = "empty segments",
    ["/a?b"] = "control characters",
    ["/a#b"] = "control characters",
    ["/a\nb"] = "control characters",
    ["/a\0b"] = "control characters",
    ["/a%2fb"] = "decoded",
    ["/" .. ("x"):rep(4096)] = "at most 4096 bytes",
  }) do
    it(("%q is %s"):format(text:sub(1, 20), problem or "good"), function()
      local said = prefix.problem_of_prefix(text)
      if problem then
        assert.truthy(said and said:find(problem, 1, true), tostring(said))
      else
        assert.is_nil(said)
      end
    end)
  end

  it("is judged without an error whatever its bytes are", function()
    math.randomseed(7)
    for _ = 1, 3000 do
      local bytes = {}
      for i = 1, math.random(0, 40) do bytes[i] = string.char(math.random(0, 255)) end
      local text = table.concat(bytes)
      if prefix.problem_of_prefix("/" .. text) == nil then
        assert.equal("/" .. text, found({ "/" .. text }, "/" .. text))
      end
    end
  end)
end)
