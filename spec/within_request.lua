-- Runs in a request what can run there alone; spec/http.conf has the location.

local within_request = {}

local work

-- Calls a function in a request, and returns what it returns.
function within_request.run(call)
  local done, result
  work = function() done, result = pcall(call) end
  local socket = ngx.socket.tcp()
  assert(socket:connect("unix:" .. SPEC_PREFIX .. "/within.sock"))
  assert(socket:send("GET / HTTP/1.0\r\nHost: spec\r\n\r\n"))
  socket:receive("*a")
  socket:close()
  assert(done, result)
  return result
end

function within_request.serve() work() end

return within_request
