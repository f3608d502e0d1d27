--- A small DNS server of this process: real datagrams on a real port, and it can be told to misbehave.
local ffi = require("ffi")

-- busted loads this once for each spec file, LuaJIT knows types only once.
pcall(ffi.cdef, [[
  typedef struct { uint16_t family; uint16_t port; uint32_t address; uint8_t zero[8]; } switchboard_spec_address;
  int socket(int family, int type, int protocol);
  int bind(int descriptor, const void *address, unsigned int length);
  int getsockname(int descriptor, void *address, unsigned int *length);
  int close(int descriptor);
  ssize_t recvfrom(int descriptor, void *buffer, size_t size, int flags, void *from, unsigned int *length);
  ssize_t sendto(int descriptor, const void *buffer, size_t size, int flags, const void *to, unsigned int length);
  uint16_t ntohs(uint16_t value);
]])

local AF_INET, SOCK_DGRAM_NONBLOCK, LOOPBACK = 2, 2 + 2048, 0x0100007f
local TYPES = { A = 1, CNAME = 5, AAAA = 28 }
local NAMES = { [1] = "A", [28] = "AAAA" }

local _M = {}

local function u16(n)
  return string.char(math.floor(n / 256) % 256, n % 256)
end

local function encode_name(name)
  return (name:gsub("([^.]+)%.?", function(label)
    return string.char(#label) .. label
  end)) .. "\0"
end

local function encode_data(record)
  if record.type == "CNAME" then
    return encode_name(record.data)
  end
  local bytes = {}
  if record.type == "A" then
    for octet in record.data:gmatch("%d+") do
      bytes[#bytes + 1] = string.char(tonumber(octet))
    end
  else
    for group in record.data:gmatch("%x+") do
      bytes[#bytes + 1] = u16(tonumber(group, 16))
    end
  end
  return table.concat(bytes)
end

local function encode_record(name, record)
  local data = encode_data(record)
  local ttl = record.ttl or 60
  return encode_name(record.name or name) .. u16(TYPES[record.type]) .. u16(1) .. u16(math.floor(ttl / 65536)) .. u16(ttl % 65536) .. u16(#data) .. data
end

local function read_question(packet)
  local labels, at = {}, 13
  while packet:byte(at) ~= 0 do
    local length = packet:byte(at)
    labels[#labels + 1] = packet:sub(at + 1, at + length)
    at = at + length + 1
  end
  return table.concat(labels, "."), packet:byte(at + 1) * 256 + packet:byte(at + 2), packet:sub(13, at + 4)
end

local function reply(server, packet)
  local name, qtype, question = read_question(packet)
  local asked = name .. " " .. NAMES[qtype]
  server.asked[#server.asked + 1] = asked
  local zone = server.zone[asked] or server.zone[name]
  if type(zone) == "function" then
    zone = zone(NAMES[qtype])
  end
  if zone == "silent" then
    return nil
  end
  if zone == "malformed" then
    -- Promises a record and ends in its middle.
    return packet:sub(1, 2) .. u16(0x8180) .. u16(1) .. u16(1) .. u16(0) .. u16(0) .. question .. encode_name(name) .. u16(1) .. u16(1) .. "\0\0"
  end
  local rcode, count, records = 3, 0, {}
  if zone then
    rcode = zone.rcode or 0
    for _, record in ipairs(zone) do
      if record.type == NAMES[qtype] or record.type == "CNAME" then
        count = count + 1
        records[count] = encode_record(name, record)
      end
    end
  end
  return packet:sub(1, 2) .. u16(0x8180 + rcode) .. u16(1) .. u16(count) .. u16(0) .. u16(0) .. question .. table.concat(records)
end

local function serve(server)
  local buffer, from, length = ffi.new("uint8_t[512]"), ffi.new("switchboard_spec_address[1]"), ffi.new("unsigned int[1]")
  while not server.stopped do
    length[0] = 16
    local size = tonumber(ffi.C.recvfrom(server.descriptor, buffer, 512, 0, from, length))
    if size > 0 then
      local answer = reply(server, ffi.string(buffer, size))
      if answer then
        local to = ffi.new("switchboard_spec_address[1]", { from[0] })
        ngx.thread.spawn(function()
          if server.delay > 0 then
            ngx.sleep(server.delay)
          end
          ffi.C.sendto(server.descriptor, answer, #answer, 0, to, 16)
        end)
      end
    else
      ngx.sleep(0.001)
    end
  end
  ffi.C.close(server.descriptor)
end

--- Starts a server on a free port of 127.0.0.1.
-- `zone` holds lists of records by name, or by name and type ("web A"); what is not in it does not exist.
-- `asked` lists the questions as "name type". `delay` is in seconds.
function _M.start()
  local descriptor = ffi.C.socket(AF_INET, SOCK_DGRAM_NONBLOCK, 0)
  local address, length = ffi.new("switchboard_spec_address[1]"), ffi.new("unsigned int[1]", 16)
  address[0].family = AF_INET
  address[0].address = LOOPBACK
  assert(ffi.C.bind(descriptor, address, 16) == 0)
  assert(ffi.C.getsockname(descriptor, address, length) == 0)
  local server = { descriptor = descriptor, port = ffi.C.ntohs(address[0].port), zone = {}, asked = {}, delay = 0, stopped = false }
  server.address = "127.0.0.1:" .. server.port
  ngx.timer.at(0, function()
    serve(server)
  end)
  return server
end

function _M.stop(server)
  server.stopped = true
end

return _M
