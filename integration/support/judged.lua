-- Random names and replies as Redis might give them, and the router's verdict on each, by LuaJIT: as RESP, for
-- integration/check-truth.test.ts.
--
--   luajit judged.lua <lib> <seed> <count> <schema>
local lib, seed, count, schema = arg[1], tonumber(arg[2]), tonumber(arg[3]), arg[4]
package.path = lib .. "/?.lua"

math.randomseed(seed)
local function one_of(list) return list[math.random(#list)] end

local PIECES = {
  "http://", "https://", "ftp://", "10.0.0.5", "10.0.0.300", "0.0.0.0", "169.254.169.254", "255.255.255.255", "010.0.0.1", "[::1]", "[fe80::1]",
  "[::ffff:10.1.2.3]", "2001:db8::1", "[1:2:3:4:5:6:7:8]", "[1:0:0:2:0:0:0:3]", "a.example", "A.Example", "web_1", "a..b", ":80", ":0", ":65535", ":65536", ":08",
  ":", "?", "weight=3", "weight=65536", "weight=99999999999999999999", "&", "=", "drain=1", "drain=2", "zone=eu", "id=a b", "color=red", "\0", "\255", "\n", " ",
  "%", "%d", "(", "[", "]", "-", "@", "*", ".", "/", "é", string.rep("x", 70), string.rep("a.", 130), "1e3", "0x10", "nan", "inf",
}
local OPTIONS = {
  "pool", "tries", "connect_timeout", "send_timeout", "read_timeout", "balance", "hash_bound", "sticky", "sticky_max_age", "slow_start",
  "prefer_zone", "meta.app", "color", "", "POOL", "split", "retry_on", "max_body", "hsts", "strip_prefix", "allow_ips", "deny_ips", "maintenance",
  "https_redirect", "host_header", "fallthrough", "request_header.X-A", "response_header.X-A", "request_header.a b", "split_cookie",
}
local VALUES = {
  "@shop", "@Shop_2", "shop", "@a b", "0", "1", "100", "101", "1.5", "250ms", "2s", "1m", "1h", "0.0001s", "86401", "9223372036854775807m", "1e3", "0x10",
  "99999999999999999999999", "3.", ".3", "on", "off", "true", "yes", "ewma", "hash:ip", "hash:header:X-User", "hash:cookie:", "cookie", "cookie:sid", "cookie:",
  "1.25", "1.0", "100.01", "", " 5", "-1", "inf", "nan", "@a=5,@b=95", "10.0.0.0/8,::1", "1g", "64k", "error,timeout", "upstream",
}
local NAMES = {
  "app.example.com", "App.Example.com", "*.example.com", "*", "*.", "*.*.com", "@shop", "@", "@sh op", "10.0.0.1", "::1", "2001:DB8::1", "[::1]", "a.example:80",
  "a.example.", "a..b", "app.example.com/api", "app.example.com/", "*.example.com/a/b", "/", "", "a/../b", "*.::1", string.rep("a", 64), string.rep("a.", 126) .. "a",
  "*." .. string.rep("a.", 125) .. "a", "b\252cher.example", "a_b", "-a", "a b", "xn--a", "a.example//x", "a.example/%2f",
}

local function text()
  local words = {}
  for i = 1, math.random(0, 6) do words[i] = one_of(PIECES) end
  return table.concat(words)
end
local function member()
  if math.random(3) == 1 then return text() end
  local host = one_of { "10.0.0.1", "10.0.0.2", "[::1]", "a.example", "127.0.0.1", "HTTP://10.0.0.1", "https://10.0.0.1" }
  return host .. ":" .. one_of { "80", "80", "8080" } .. one_of { "", "", "?weight=2", "?drain=1", "?weight=0&zone=a", "?x", "?backup=1" }
end
local function entry()
  if schema == "dinp" then return (member():gsub("^.-//", ""):gsub("%?.*", "")) end
  return one_of { "http://", "http://", "https://", "" } .. one_of { "10.0.0.1", "10.0.0.2:80", "[::1]", "a.example", "127.0.0.1:80" } .. one_of { "", "", "/", "/x" }
end
local function list(most, item)
  local found = {}
  for _ = 1, math.random(0, most) do
    for _, word in ipairs { item() } do found[#found + 1] = word end
  end
  return found
end
local NOTHING = {}
local WRONG = { false, "WRONGTYPE Operation against a key holding the wrong kind of value" }
local function maybe_wrong(reply) return math.random(10) == 1 and WRONG or reply end

--- A reply that a command of this kind can have; the judges' own commands say what is asked.
local function reply_to(command, state)
  local name = command[1]
  if math.random(300) == 1 then return { false, "NOPERM this user has no permissions" } end
  if name == "HGETALL" then
    local options = command[2]:find("route", 1, true)
    return maybe_wrong(list(4, function()
      if options then return one_of(OPTIONS), math.random(4) == 1 and text() or one_of(VALUES) end
      return member(), one_of { "weight=3", "drain=1&weight=1", "x", "", "weight=70000", text() }
    end))
  elseif name == "EXISTS" then
    return math.random(0, 1)
  elseif name == "SMEMBERS" then
    if command[2]:find("backends", 1, true) then
      if state.kind ~= "set" then return WRONG end
      return list(5, member)
    end
    if command[2]:find("dead", 1, true) then
      return maybe_wrong(list(3, function() return one_of { "0", "1", "2", "9", "007", "1234567", "-1", "x", text() } end))
    end
    return maybe_wrong(list(5, function() return one_of { "/api", "/", "api", "/a//b", "/a/../b", "/A", "/x?y", "/" .. text(), text() } end))
  elseif name == "ZRANGE" then
    if state.kind ~= "zset" then return WRONG end
    return list(5, function() return member(), one_of { "1700000000", "1700000000.5", "inf", "-inf", "1e+300", "0", "-5" } end)
  elseif name == "LRANGE" then
    return maybe_wrong(list(6, math.random(3) == 1 and text or entry))
  elseif name == "GET" then
    return one_of { NOTHING, NOTHING, WRONG, "", "/rs/a.example", "/rs/", "a.example", text() }
  elseif name == "TTL" then
    return one_of { -2, -1, 30 }
  end
  return one_of { 0, 1, "text", WRONG }
end

local function encode(value, out)
  local kind = type(value)
  if kind == "string" then
    out[#out + 1] = "$" .. #value .. "\r\n" .. value .. "\r\n"
  elseif kind == "number" then
    out[#out + 1] = ("," .. ("%.17g"):format(value) .. "\r\n")
  elseif value == NOTHING then
    out[#out + 1] = "_\r\n"
  elseif kind == "table" and value[1] == false then
    out[#out + 1] = "-" .. value[2] .. "\r\n"
  elseif #value > 0 or next(value) == nil then
    out[#out + 1] = "*" .. #value .. "\r\n"
    for _, one in ipairs(value) do encode(one, out) end
  else
    local fields = {}
    for name in pairs(value) do fields[#fields + 1] = name end
    out[#out + 1] = "%" .. #fields .. "\r\n"
    for _, name in ipairs(fields) do
      encode(name, out)
      encode(value[name], out)
    end
  end
end

local address = require("resty.switchboard.net.address")
local config = {
  clock_slack = 5, deny_instances = { (address.parse_cidr("127.0.0.0/8")) }, key_format = "{kind}:{name}", legacy_prefix = "old-", server_schemas = {},
  schema = { schema },
}
local judge = require("resty.switchboard.observe.judges").create_judges(config)[1]
local KEYS = ({
  native = { "backends:", "route:", "paths:", "instances:" },
  hipache = { "old-frontend:", "old-frontend:", "old-frontend:", "route:", "instances:" },
  dinp = { "/rs/", "/cname/" },
})[schema == "planb" and "hipache" or schema]

local out = { "*" .. count .. "\r\n" }
for _ = 1, count do
  local name = math.random(5) == 1 and text() or one_of(NAMES)
  local key = one_of(KEYS) .. name
  local placed, earlier = judge.place(key)
  local replies, state = {}, { kind = one_of { "set", "set", "zset", "none" } }
  if placed then
    assert(placed == name)
    for i, command in ipairs(judge.read(name)) do replies[i] = reply_to(command, state) end
    encode({ key = key, name = name, earlier = earlier, replies = replies, verdict = judge.judge(config, name, key, replies) }, out)
  else
    -- `route:` alone names nobody.
    assert(name == "" and key:sub(1, 4) ~= "old-")
    encode({ key = key, name = name }, out)
  end
end
io.stdout:write(table.concat(out))
