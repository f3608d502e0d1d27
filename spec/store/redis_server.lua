--- Redis servers of a spec's own: started, stopped and started again where they were.
local _M = {}

local function run(command)
  local handle = assert(io.popen(command .. " 2>&1"))
  local output = handle:read("*a")
  handle:close()
  return (output:gsub("%s+$", ""))
end

--- Awaits a condition; errors after ten seconds.
function _M.wait_for(condition, what)
  for _ = 1, 2000 do
    local value = condition()
    if value then
      return value
    end
    ngx.sleep(0.005)
  end
  error("waited for ten seconds in vain: " .. what, 2)
end

--- A port that nobody listens on.
function _M.free_port()
  for port = 21000 + ngx.worker.pid() % 1000 * 10, 60000 do
    local socket = ngx.socket.tcp()
    if not socket:connect("127.0.0.1", port) then
      return port
    end
    socket:close()
  end
end

--- What redis-cli answers to this command line.
function _M.cli(server, line)
  return run(("redis-cli -s %s %s"):format(server.socket, line))
end

--- Starts a server on a unix socket and whatever else `arguments` say, and awaits its answer.
function _M.start(arguments)
  local folder = run("mktemp -d")
  local server = { folder = folder, socket = folder .. "/redis.sock", arguments = arguments or "--port 0" }
  _M.start_again(server)
  return server
end

function _M.start_again(server)
  run(("redis-server --dir %s --unixsocket %s --save '' --daemonize yes --pidfile %s/pid --logfile %s/log %s"):format(
    server.folder, server.socket, server.folder, server.folder, server.arguments
  ))
  _M.wait_for(function()
    return not _M.cli(server, "ping"):find("Could not connect", 1, true)
  end, "redis-server " .. server.arguments)
end

local function read_pid(server)
  local file = io.open(server.folder .. "/pid")
  if not file then
    return nil
  end
  local pid = file:read("*l")
  file:close()
  return pid
end

--- Ends it, and awaits that: the last thing it does is to remove its pid file.
function _M.stop(server)
  local pid = read_pid(server)
  if pid then
    run("kill " .. pid)
    _M.wait_for(function()
      return not read_pid(server)
    end, "the end of redis-server")
  end
end

--- Ends it and removes its folder.
function _M.remove(server)
  _M.stop(server)
  run("rm -rf " .. server.folder)
end

_M.run = run

return _M
