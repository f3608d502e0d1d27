local bytes = require("resty.switchboard.schema.plain")
local codec = require("resty.switchboard.route.codec")
local create_quick = require("resty.switchboard.schema.native_plain").create_quick
local keys = require("resty.switchboard.schema.keys")
local lives = require("resty.switchboard.route.lives")
local native = require("resty.switchboard.schema.native")
local wire = require("resty.switchboard.store.wire")

local FORMAT = keys.parse_key_format("{kind}:{name}")
local quick = create_quick(FORMAT)
local packed = require("ffi").new("uint8_t[?]", bytes.FREE + bytes.MOST_PACKED * bytes.SIZE)

--- A command as it is sent.
local function written(words)
  local sent = {}
  wire.send({ socket = { send = function(_, data) sent = data end } }, { words })
  return table.concat(sent)
end

--- What both ways make of the same members, where a name has nothing else.
local function both(name, kind, members)
  local record = native.decode(FORMAT, name, kind, { {}, {}, {}, members }, 0, nil)
  local plain = quick.decode(kind, { 0, members }, 0, packed)
  local slow = record and codec.join(codec.encode_lives(record), codec.encode(record))
  local fast = plain and codec.join(lives.pack_lives(plain.untils or {}), codec.encode_plain(plain.untils and "zset" or "set", packed, plain.count))
  return slow, fast, record
end

describe("the quick way to a native name", function()
  it("comes to the same as the long one, or leaves it to that", function()
    math.randomseed(12)
    local odd = { "-", "http://10.0.0.1:80", "10.0.0.1:80?weight=3", "[::1]:80", "a.example:80", "10.0.0.1:080", "nonsense", "" }
    local quickly = 0
    for _ = 1, 5000 do
      local kind = math.random(2) == 1 and "set" or "zset"
      local members, seen = {}, {}
      for _ = 1, math.random(0, 5) do
        local member = math.random(30) == 1 and odd[math.random(#odd)] or ("10.0.%d.%d:%d"):format(math.random(0, 3), math.random(0, 255), math.random(80, 90))
        if not seen[member] then
          seen[member] = true
          members[#members + 1] = member
          if kind == "zset" then members[#members + 1] = ({ "1700000000", "1700000000.5", "inf", "-3" })[math.random(4)] end
        end
      end
      local slow, fast, record = both("app.example", kind, members)
      if fast then
        quickly = quickly + 1
        assert.equal(slow, fast)
        assert.same({}, record.problems)
      end
    end
    assert.is_true(quickly > 2500, quickly)
  end)

  it("asks two commands for a name that stands alone, and none for one within another", function()
    local commands = {}
    assert.is_true(quick.ask(commands, "app.example", "set"))
    assert.is_true(quick.ask(commands, "*.example", "zset"))
    assert.is_false(quick.ask(commands, "app.example/api", "set"))
    assert.is_false(quick.ask(commands, "app.example#@pool", "set"))
    assert.same({
      written { "EXISTS", "instances:app.example", "route:app.example", "paths:app.example" },
      written { "SMEMBERS", "backends:app.example" },
      written { "EXISTS", "instances:*.example", "route:*.example", "paths:*.example" },
      written { "ZRANGE", "backends:*.example", "0", "-1", "WITHSCORES" },
    }, commands)
  end)

  it("asks for the keys of any format", function()
    for _, format in ipairs { "sb:{kind}:{{name}}", "{name}/{kind}", "a{name}b{kind}c" } do
      local parsed, commands = keys.parse_key_format(format), {}
      local function key(kind) return keys.key(parsed, kind, "app.example") end
      create_quick(parsed).ask(commands, "app.example", "set")
      assert.same({ written { "EXISTS", key("instances"), key("route"), key("paths") }, written { "SMEMBERS", key("backends") } }, commands)
    end
  end)

  it("is not for names with more than instances, other kinds, errors, nothing and large sets", function()
    assert.is_table(quick.decode("set", { 0, { "10.0.0.1:80" } }, 0, packed))
    assert.is_nil(quick.decode("set", { 1, { "10.0.0.1:80" } }, 0, packed))
    assert.is_nil(quick.decode("set", { 0, {} }, 0, packed))
    for at = 1, 2 do
      for _, wrong in ipairs { { false, "WRONGTYPE Operation against a key" }, ngx.null, "text" } do
        local replies = { 0, { "10.0.0.1:80" } }
        replies[at] = wrong
        assert.is_nil(quick.decode("set", replies, 0, packed))
      end
    end
    local many = {}
    for i = 1, 33 do many[i] = "10.0.0.1:" .. i end
    assert.is_nil(quick.decode("set", { 0, many }, 0, packed))
  end)
end)
