-- Runs the router's own compiled modules in Lua 5.4: what LuaJIT has and 5.4 has not, and a wire to Node.

-- LuaJIT knows one kind of number. 5.4's integers would wrap where a double only loses digits, and its floats
-- print as "1.0"; so every number that is read becomes a float, and prints as LuaJIT prints it.
local plain_tonumber, plain_tostring, format = tonumber, tostring, string.format

local SPECIAL = {
  ["inf"] = math.huge, ["infinity"] = math.huge, ["+inf"] = math.huge, ["+infinity"] = math.huge,
  ["-inf"] = -math.huge, ["-infinity"] = -math.huge, ["nan"] = 0 / 0, ["+nan"] = 0 / 0, ["-nan"] = 0 / 0,
}

function tonumber(value, base)
  local number
  if base then
    number = plain_tonumber(value, plain_tonumber(format("%d", base)))
  else
    number = plain_tonumber(value)
    if number == nil and type(value) == "string" then
      number = SPECIAL[value:match("^%s*(.-)%s*$"):lower()]
    end
  end
  return number and number + 0.0
end

function tostring(value)
  if type(value) ~= "number" then return plain_tostring(value) end
  if value ~= value then return "nan" end
  return (format("%.14g", value))
end

unpack = table.unpack

--- Two's complement of 32 bits, as bitop.luajit.org defines it.
local function signed(number)
  number = number & 0xffffffff
  return number >= 0x80000000 and number - 0x100000000 or number
end
local function whole(number) return math.tointeger(number) or math.floor(number + 0.5) end

bit = {
  tobit = function(a) return signed(whole(a)) end,
  band = function(a, b) return signed(whole(a) & whole(b)) end,
  bor = function(a, b) return signed(whole(a) | whole(b)) end,
  bxor = function(a, b) return signed(whole(a) ~ whole(b)) end,
  bnot = function(a) return signed(~whole(a)) end,
  lshift = function(a, n) return signed(whole(a) << (whole(n) & 31)) end,
  rshift = function(a, n) return signed((whole(a) & 0xffffffff) >> (whole(n) & 31)) end,
  -- Not >>, which fills with zeros.
  arshift = function(a, n) return signed(signed(whole(a)) // (1 << (whole(n) & 31))) end,
}
package.preload.bit = function() return bit end

-- All that the modules that judge ask of nginx.
ngx = {
  null = setmetatable({}, { __tostring = function() return "null" end }),
  md5 = function() return "" end, -- only in the names of connection pools
}

-- The environment is Node's.
local environment = {}
package.preload["resty.switchboard.config.environment"] = function()
  return { read_environment = function() return environment end }
end

-- The wire: RESP, the protocol of Redis, so that its replies need no other form; maps as `%` of RESP3.
local function decode(text, at)
  local line_end = text:find("\r\n", at, true)
  local kind, rest = text:sub(at, at), text:sub(at + 1, line_end - 1)
  local next_at = line_end + 2
  if kind == "$" then
    local length = plain_tonumber(rest)
    if length < 0 then return ngx.null, next_at end
    return text:sub(next_at, next_at + length - 1), next_at + length + 2
  elseif kind == ":" then
    return plain_tonumber(rest) + 0.0, next_at
  elseif kind == "-" then
    return { false, rest }, next_at -- as lua-resty-redis has it
  elseif kind == "_" then
    return nil, next_at
  end
  local list = {}
  for i = 1, plain_tonumber(rest) do
    if kind == "%" then
      local key
      key, next_at = decode(text, next_at)
      list[key], next_at = decode(text, next_at)
    else
      list[i], next_at = decode(text, next_at)
    end
  end
  return list, next_at
end

local function encode(value, out)
  local kind = type(value)
  if kind == "string" then
    out[#out + 1] = "$" .. #value .. "\r\n" .. value .. "\r\n"
  elseif kind == "number" then
    out[#out + 1] = "," .. format("%.17g", value) .. "\r\n"
  elseif kind == "boolean" then
    out[#out + 1] = value and "#t\r\n" or "#f\r\n"
  elseif kind ~= "table" then
    out[#out + 1] = "_\r\n"
  elseif #value > 0 or next(value) == nil then
    out[#out + 1] = "*" .. #value .. "\r\n"
    for i = 1, #value do encode(value[i], out) end
  else
    local count, place = 0, #out + 1
    out[place] = ""
    for name, field in pairs(value) do
      if type(field) ~= "function" then
        count = count + 1
        encode(plain_tostring(name), out)
        encode(field, out)
      end
    end
    out[place] = "%" .. count .. "\r\n"
  end
end

-- What Node calls.
local config, judges, order

local functions = {}

--- The names of the module's options.
function functions.options()
  local names = {}
  for i, option in ipairs(require("resty.switchboard.config.options").OPTIONS) do names[i] = option.name end
  return names
end

--- Reads the options as `configure` does, and appoints a judge for each schema.
function functions.configure(given, values)
  environment = values
  local ok, read = pcall(require("resty.switchboard.config").read_config, given, 0)
  if not ok then return { error = read } end
  config, judges = read, {}
  order = require("resty.switchboard.observe.judges").create_judges(config)
  for _, judge in ipairs(order) do judges[judge.schema] = judge end
  return {
    redis = config.redis_url,
    secure = {
      verify = config.redis_tls_verify,
      name = config.redis_tls_name,
      cert = config.redis_tls_cert,
      key = config.redis_tls_key,
    },
    sentinel = { user = config.redis_sentinel_user, password = config.redis_sentinel_password },
    schemas = config.schema,
  }
end

local function is_companion(key)
  if key == require("resty.switchboard.schema.keys").WIPED_KEY then return true end
  for _, judge in ipairs(order) do
    if judge.is_companion(key) then return true end
  end
  return false
end

--- For each key: of which schemas and names it is, and the keys under which the name would be met earlier; false
--- for what is no name's, but no stranger either.
function functions.place(keys)
  local places = {}
  for i, key in ipairs(keys) do
    local mine = {}
    for _, judge in ipairs(order) do
      local name, earlier = judge.place(key)
      if name then mine[#mine + 1] = { schema = judge.schema, name = name, key = key, earlier = earlier } end
    end
    if #mine > 0 or not is_companion(key) then places[i] = mine else places[i] = false end
  end
  return places
end

function functions.read(places)
  local reads = {}
  for i, place in ipairs(places) do reads[i] = judges[place.schema].read(place.name) end
  return reads
end

function functions.judge(places, replies)
  local verdicts = {}
  for i, place in ipairs(places) do
    verdicts[i] = judges[place.schema].judge(config, place.name, place.key, replies[i])
  end
  return verdicts
end

--- Called by Node: the name of a function and its arguments in, its result out.
function bridge(text)
  local call = decode(text, 1)
  local out = {}
  encode(functions[call[1]](table.unpack(call, 2)), out)
  return table.concat(out)
end
