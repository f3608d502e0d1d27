-- A WebSocket that sends back what it gets; frames of at most 125 bytes.

local bit = require("bit")

ngx.status = 101
ngx.header.Upgrade = "websocket"
ngx.header.Connection = "Upgrade"
ngx.header["Sec-WebSocket-Accept"] =
  ngx.encode_base64(ngx.sha1_bin((ngx.var.http_sec_websocket_key or "") .. "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
ngx.send_headers()
ngx.flush(true)

local CLOSE = 8
local socket = assert(ngx.req.socket(true))
socket:settimeout(600000)
while true do
  local head = socket:receive(6)
  if not head then return end
  local first, length = head:byte(1, 2)
  length = bit.band(length, 127)
  local masked = length > 0 and socket:receive(length) or ""
  if bit.band(first, 15) == CLOSE then return end
  local bytes = {}
  for i = 1, length do bytes[i] = string.char(bit.bxor(masked:byte(i), head:byte(3 + (i - 1) % 4))) end
  if not socket:send(string.char(first, length) .. table.concat(bytes)) then return end
end
