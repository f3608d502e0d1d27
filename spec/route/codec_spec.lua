local codec = require("resty.switchboard.route.codec")

local function round_trip(record)
  return codec.decode(codec.encode(record), codec.encode_lives(record))
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
    assert.is_false(codec.shortens(codec.encode_lives(early), codec.encode_lives(late)))
    assert.is_true(codec.shortens(codec.encode_lives(late), codec.encode_lives(early)))
  end)

  it("stays in one 256-byte slot of the dict with three IPv4 instances", function()
    local instances = {}
    for i = 1, 3 do
      instances[i] = { tls = false, host = "255.255.255.25" .. i, port = 65535, weight = 1, drain = false }
    end
    local name = "a-rather-long-application-name.apps.example.com"
    local value = "1700000000.123 10\n\n" .. codec.encode(record(instances))
    assert.is_true(#name + #value <= 188, #name + #value)
  end)

  it("survives any combination of its parts", function()
    math.randomseed(11)
    for _ = 1, 2000 do
      local instances = {}
      for i = 1, math.random(0, 5) do
        instances[i] = {
          tls = math.random(2) == 1,
          host = ({ "10.0.0." .. i, "fd00::" .. i, "n" .. i .. ".example" })[math.random(3)],
          port = math.random(65535),
          weight = math.random(0, 65535),
          drain = math.random(2) == 1,
          zone = math.random(2) == 1 and "z:" .. i or nil,
          id = math.random(2) == 1 and "web." .. i or nil,
        }
        if instances[i].host:find("example") then
          instances[i].addresses = math.random(2) == 1 and { "10.9.9." .. i } or {}
        end
      end
      local route = record(instances, "set", { tries = math.random(2) == 1 and math.random(100) or nil })
      assert.same(route, round_trip(route))
    end
  end)
end)
