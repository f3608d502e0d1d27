local redis_server = require("store.redis_server")
local read_config = require("resty.switchboard.config").read_config

describe("of several servers", function()
  local server, settle, started
  local state = ngx.shared.switchboard_state

  local function start(arguments)
    local port = redis_server.free_port()
    local one = redis_server.start(("--port %d %s"):format(port, arguments or ""))
    one.port = port
    started[#started + 1] = one
    return one
  end

  local function config_of(url, ...)
    return read_config({ redis_url = url:format(...), redis_timeout = "5s" }, 2)
  end

  before_each(function()
    ngx.update_time()
    state:flush_all()
    for _, name in ipairs({ "connection", "redis", "sentinel", "server", "settle" }) do
      package.loaded["resty.switchboard.store." .. name] = nil
    end
    server = require("resty.switchboard.store.server")
    settle = require("resty.switchboard.store.settle").settle
    server.open_servers(state)
    started = {}
  end)

  after_each(function()
    for _, one in ipairs(started) do redis_server.remove(one) end
  end)

  it("the first that answers is settled on, and stays it when the others are back", function()
    local b = start()
    local free = b.port + 1
    local config = config_of("redis://127.0.0.1:%d,127.0.0.1:%d", free, b.port)
    assert.is_nil(server.settled(config))
    local found, moved = settle(config)
    assert.equal(b.port, found.port)
    assert.is_false(moved)
    assert.equal(b.port, server.settled(config).port)
    started[#started + 1] = redis_server.start("--port " .. free)
    found, moved = settle(config)
    assert.equal(b.port, found.port)
    assert.is_false(moved)
    redis_server.stop(b)
    found, moved = settle(config)
    assert.equal(free, found.port)
    assert.is_true(moved)
    assert.equal(free, server.settled(config).port)
  end)

  it("one that answers nothing of use is passed over", function()
    local lost, b = start("--replicaof 127.0.0.1 1 --replica-serve-stale-data no"), start()
    assert.equal(b.port, (settle(config_of("redis://127.0.0.1:%d,127.0.0.1:%d", lost.port, b.port))).port)
  end)

  it("none answers: each is told of with its reason", function()
    local found, err = settle(config_of("redis://127.0.0.1:%d,[::1]:1", redis_server.free_port()))
    assert.is_nil(found)
    assert.truthy(err:find("^redis://127%.0%.0%.1:%d+: connection refused, redis://%[::1%]:1: "), err)
  end)

  it("each address of a name is one, and all ask the one that was settled on", function()
    local a = start("--bind 127.0.0.1")
    local config = config_of("redis://localhost:%d", a.port)
    assert.equal("127.0.0.1", (settle(config)).address)
    assert.equal("127.0.0.1", server.settled(config).address)
    assert.equal("localhost", server.settled(config).host)
  end)

  it("an address alone needs no agreement", function()
    assert.equal("::1", server.settled(config_of("redis://[::1]:7")).address)
    assert.equal("unix:/run/redis.sock", server.settled(config_of("unix:/run/redis.sock")).address)
    assert.equal(0, #state:get_keys())
  end)

  it("what was settled on for another URL counts for that alone", function()
    local a = start()
    assert(settle(config_of("redis://127.0.0.1:%d,127.0.0.1:1", a.port)))
    assert.is_nil(server.settled(config_of("redis://127.0.0.1:%d,127.0.0.1:2", a.port)))
  end)

  describe("sentinels", function()
    local config, ports, a, b

    local function cli(i, command)
      return redis_server.run(("redis-cli -p %d %s"):format(ports[i], command))
    end

    local function stop(i)
      cli(i, "shutdown")
      redis_server.wait_for(function()
        return cli(i, "ping") ~= "PONG"
      end, "the end of a sentinel")
    end

    --- Has a sentinel say that the master is there, since a fail-over of this number.
    local function say(i, port, term)
      stop(i)
      local folder = redis_server.run("mktemp -d")
      local file = assert(io.open(folder .. "/conf", "w"))
      file:write(([[
port %d
bind 127.0.0.1
dir %s
daemonize yes
sentinel monitor mymaster 127.0.0.1 %d 1
sentinel config-epoch mymaster %d
]]):format(ports[i], folder, port, term))
      file:close()
      redis_server.run(("redis-server %s/conf --sentinel"):format(folder))
      redis_server.wait_for(function()
        return cli(i, "ping") == "PONG"
      end, "a sentinel")
    end

    before_each(function()
      a, b = start(), start()
      ports = {}
      for i = 1, 3 do ports[i] = b.port + i end
      config = config_of("redis+sentinel://127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d/mymaster", ports[1], ports[2], ports[3])
    end)

    after_each(function()
      for i = 1, 3 do stop(i) end
    end)

    local function settled_port()
      ngx.update_time()
      local found = settle(config)
      return found and found.port
    end

    local function has_moved()
      ngx.update_time()
      return server.has_moved(config, ngx.now() + 5)
    end

    it("name the master, the first that answers", function()
      say(2, a.port, 1)
      assert.equal(a.port, settled_port())
      assert.is_false(has_moved())
      say(2, b.port, 2)
      assert.is_true(has_moved())
      assert.equal(b.port, settled_port())
    end)

    it("that still speak of an earlier fail-over are not believed while the master of a later one answers", function()
      say(2, b.port, 5)
      assert.equal(b.port, settled_port())
      stop(2)
      say(1, a.port, 4)
      assert.is_false(has_moved())
      assert.equal(b.port, settled_port())
      -- All were set up anew, and count from the beginning.
      redis_server.stop(b)
      assert.equal(a.port, settled_port())
      assert.is_false(has_moved())
    end)

    it("that say nothing change nothing", function()
      say(1, a.port, 1)
      assert.equal(a.port, settled_port())
      stop(1)
      assert.is_false(has_moved())
      assert.equal(a.port, settled_port())
    end)

    it("that all say nothing, or know no such master, are an error with a reason each", function()
      say(3, a.port, 1)
      local other = config_of("redis+sentinel://127.0.0.1:%d,127.0.0.1:%d/another", ports[1], ports[3])
      ngx.update_time()
      local found, err = settle(other)
      assert.is_nil(found)
      assert.equal("no sentinel names the master another: 127.0.0.1: connection refused, 127.0.0.1: it knows no such master", err)
    end)
  end)
end)
