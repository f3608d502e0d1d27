local codec = require("resty.switchboard.route.codec")
local dict = require("resty.switchboard.route.dict")
local plain = require("resty.switchboard.schema.plain")

local function text_of(record)
  return codec.join(codec.encode_lives(record), codec.encode(record))
end

local function round_trip(record)
  return codec.decode(text_of(record))
end

local function record(instances, kind, options)
  return { kind = kind or "set", paths_only = false, instances = instances, options = options or {}, problems = {} }
end

describe("a route in the shared dict", function()
  it("comes back as it was", function()
    local route = record({
      { tls = false, host = "10.0.0.5", port = 8080, weight = 1, drain = false },
      { tls = true, host = "2001:db8::1", port = 8443, weight = 0, drain = true, zone = "a", id = "web.1", backup = true },
      { tls = false, host = "http.https.example", port = 80, weight = 65535, drain = false, addresses = { "10.1.1.1", "2001:db8::2" } },
      { tls = true, host = "gone.example", port = 443, weight = 1, drain = false, addresses = {} },
    }, "set", { pool = "@blue", connect_timeout = 0.25, send_timeout = 1, read_timeout = 3600.5, deadline = 2.5, tries = 7,
      balance = "hash:header:X-User", hash_bound = 1.25, sticky = "session_id", sticky_max_age = 3600, slow_start = 0.5, prefer_zone = false })
    assert.same(route, round_trip(route))
  end)

  it("keeps the lives of heart-beating instances apart from what is compared", function()
    local early = record({ { tls = false, host = "10.0.0.5", port = 1, weight = 1, drain = false, ["until"] = 1700000000 } }, "zset")
    local late = record({ { tls = false, host = "10.0.0.5", port = 1, weight = 1, drain = false, ["until"] = 1700000010 } }, "zset")
    assert.same(early, round_trip(early))
    assert.equal(codec.encode(early), codec.encode(late))
    assert.not_equal(text_of(early), text_of(late))
    assert.same({ codec.encode_lives(late), codec.encode(late) }, { codec.split(text_of(late)) })
    assert.is_true(codec.has_lives(text_of(late)))
  end)

  it("stays in one 128-byte slot of the dict with three IPv4 instances", function()
    local instances = {}
    for i = 1, 3 do
      instances[i] = { tls = false, host = "255.255.255.25" .. i, port = 65535, weight = 1, drain = false }
    end
    local dicts = dict.open()
    local name = "an-app-123456.apps.example.com"
    assert(dict.write_route(dicts, name, {
      loaded = ngx.now(), fresh = 600, held = false, epoch = 9, stamp = 16383, page = nil, text = text_of(record(instances)),
    }))
    assert.is_true(#name + #dicts.routes:get(name) <= 60, #name + #dicts.routes:get(name))
    -- Heart-beating, with a name of a usual length.
    for i = 1, 3 do instances[i]["until"] = ngx.time() + 60 * i end
    name = "an-app-12.example.com"
    assert(dict.write_route(dicts, name, {
      loaded = ngx.now(), fresh = 600, held = false, epoch = 9, stamp = 16383, page = nil, text = text_of(record(instances, "zset")),
    }))
    assert.is_true(#name + #dicts.routes:get(name) <= 60, #name + #dicts.routes:get(name))
    dicts.routes:flush_all()
    dicts.names:flush_all()
  end)

  it("says which pool it points to, and whether it has anything", function()
    assert.is_nil(codec.part_of(text_of(record({}))))
    assert.is_nil(codec.part_of(text_of(record({}, "set", { tries = 3 }))))
    assert.equal("@blue", codec.part_of(text_of(record({}, "set", { tries = 3, pool = "@blue" }))))
    local beating = { { tls = false, host = "10.0.0.5", port = 8080, weight = 1, drain = false, ["until"] = 1700000000.5 } }
    assert.equal("@blue", codec.part_of(text_of(record(beating, "zset", { pool = "@blue" }))))
    assert.is_false(codec.has_members(text_of(record({}, "set", { tries = 3 }))))
    assert.is_true(codec.has_members(text_of(record(beating, "zset", { tries = 3 }))))
    assert.is_true(codec.has_members(text_of(record(beating, "set"))))
    assert.is_false(codec.has_lives(text_of(record(beating, "set"))))
  end)

  it("says of an instance that it may be there, whenever it is", function()
    local route = text_of(record {
      { tls = false, host = "10.0.0.5", port = 8080, weight = 1, drain = false },
      { tls = false, host = "10.0.0.6", port = 8081, weight = 2, drain = false },
      { tls = true, host = "a.example", port = 443, weight = 1, drain = false, addresses = { "10.0.0.7" } },
    })
    assert.is_true(codec.may_have(route, "10.0.0.5", 8080))
    assert.is_true(codec.may_have(route, "10.0.0.6", 8081))
    assert.is_true(codec.may_have(route, "10.0.0.7", 443))
    assert.is_false(codec.may_have(route, "10.0.0.5", 8082))
    assert.is_false(codec.may_have(route, "10.0.0.8", 8080))
  end)

  it("of plain instances alone is the same whichever way it was made", function()
    local packed = require("ffi").new("uint8_t[?]", plain.FREE + 200 * plain.SIZE)
    for _, count in ipairs { 0, 1, 3, 199, 200, 201, 450 } do
      for _, kind in ipairs { "set", "zset" } do
        local instances = {}
        for i = 1, count do
          local host = ("10.%d.%d.9"):format(math.floor(i / 256), i % 256)
          instances[i] = { tls = false, host = host, port = i, weight = 1, drain = false }
          if count <= 200 then
            assert.is_true(plain.pack_into(packed, plain.FREE + (i - 1) * plain.SIZE, ("%s:%d"):format(host, i)))
          end
        end
        local route = record(instances, kind)
        if count >= 1 and count <= 200 then assert.equal(codec.encode(route), codec.encode_plain(kind, packed, count)) end
        assert.same(route, round_trip(route))
      end
    end
  end)

  it("survives any combination of its parts", function()
    math.randomseed(11)
    for _ = 1, 2000 do
      local instances = {}
      for i = 1, math.random(0, 5) do
        instances[i] = {
          tls = math.random(3) == 1,
          host = ({ "10.0.0." .. i, "fd00::" .. i, "n" .. i .. ".example" })[math.random(3)],
          port = math.random(65535),
          weight = math.random(2) == 1 and math.random(0, 65535) or 1,
          drain = math.random(3) == 1,
          zone = math.random(3) == 1 and "z:" .. i or nil,
          id = math.random(3) == 1 and "web." .. i or nil,
        }
        if instances[i].host:find("example") then
          instances[i].addresses = math.random(2) == 1 and { "10.9.9." .. i } or {}
        end
      end
      local kind = ({ "set", "zset" })[math.random(2)]
      if kind == "zset" then
        for _, instance in ipairs(instances) do instance["until"] = math.random(2) == 1 and math.random(2 ^ 31) or nil end
      end
      local route = record(instances, kind, { tries = math.random(2) == 1 and math.random(100) or nil })
      route.paths_only = math.random(2) == 1
      route.paths = math.random(2) == 1 and { "/api", "/" .. ("x"):rep(math.random(300)) } or nil
      assert.same(route, round_trip(route))
    end
  end)

  it("tells whether it is likely plain, and its kind, without being decoded", function()
    local one = { tls = false, host = "10.0.0.5", port = 1, weight = 1, drain = false, ["until"] = 1700000000 }
    assert.equal("set", codec.kind_if_plain(text_of(record({ one }))))
    assert.equal("zset", codec.kind_if_plain(text_of(record({ one }, "zset"))))
    assert.is_nil(codec.kind_if_plain(text_of(record({ one }, "set", { tries = 2 }))))
    assert.is_nil(codec.kind_if_plain(text_of({ paths_only = true, paths = { "/api" }, instances = {}, options = {}, problems = {} })))
  end)
end)
