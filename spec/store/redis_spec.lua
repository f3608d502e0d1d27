local dns_server = require("net.dns_server")
local redis_server = require("store.redis_server")
local read_config = require("resty.switchboard.config").read_config

local wait_for = redis_server.wait_for

describe("Redis", function()
  local redis, servers

  local function start(arguments)
    local server = redis_server.start(arguments)
    servers[#servers + 1] = server
    return server
  end

  local function config_of(url, options)
    local given = { redis_url = url }
    for name, value in pairs(options or {}) do
      given[name] = value
    end
    return read_config(given, 2)
  end

  before_each(function()
    -- Specs before this one may have computed for long: timeouts would count from then, and end at once.
    ngx.update_time()
    -- What the worker knows of Redis begins anew.
    for _, name in ipairs({ "store.redis", "store.connection", "store.server", "store.sentinel", "net.dns" }) do
      package.loaded["resty.switchboard." .. name] = nil
    end
    redis = require("resty.switchboard.store.redis")
    servers = {}
  end)

  after_each(function()
    for _, server in ipairs(servers) do
      redis_server.remove(server)
    end
  end)

  describe("answers", function()
    local server, config

    before_each(function()
      server = start()
      config = config_of("unix:" .. server.socket)
      redis_server.cli(server, "sadd backends:a 10.0.0.1:80")
      redis_server.cli(server, "zadd backends:z 12.5 10.0.0.2:80")
      redis_server.cli(server, "hset instances:a 10.0.0.1:80 weight=3")
      redis_server.cli(server, "set text hello")
    end)

    it("in the order of the commands, each in its own type", function()
      local replies, err = redis.transaction(config, {
        { "SMEMBERS", "backends:a" }, { "ZRANGE", "backends:z", 0, -1, "WITHSCORES" }, { "HGETALL", "instances:a" },
        { "EXISTS", "backends:a", "backends:b" }, { "GET", "text" }, { "GET", "nothing" }, { "SMEMBERS", "nothing" },
      }, 1)
      assert.is_nil(err)
      assert.same({ "10.0.0.1:80" }, replies[1])
      assert.same({ "10.0.0.2:80", "12.5" }, replies[2])
      assert.same({ "10.0.0.1:80", "weight=3" }, replies[3])
      assert.equal(1, replies[4])
      assert.equal("hello", replies[5])
      assert.equal(ngx.null, replies[6])
      assert.same({}, replies[7])
      assert.equal(7, #replies)
    end)

    it("with a command's own error in its place", function()
      local replies = redis.transaction(config, { { "GET", "text" }, { "SMEMBERS", "text" }, { "GET", "text" } }, 1)
      assert.equal("hello", replies[1])
      assert.is_false(replies[2][1])
      assert.truthy(replies[2][2]:find("WRONGTYPE", 1, true))
      assert.equal("hello", replies[3])
      assert.is_true(redis.reachable())
    end)

    it("in one transaction and one round trip", function()
      local function reads()
        return tonumber(redis_server.cli(server, "info stats"):match("total_reads_processed:(%d+)"))
      end
      redis.transaction(config, { { "GET", "text" } }, 1)
      local before = reads()
      local own = reads() - before
      before = reads()
      redis.transaction(config, { { "GET", "text" }, { "SMEMBERS", "backends:a" }, { "EXISTS", "text" } }, 1)
      assert.equal(before + own + 1, reads())
      assert.truthy(redis_server.cli(server, "info commandstats"):find("cmdstat_exec:calls=2,", 1, true))
    end)

    it("about keys of any bytes", function()
      local key = "a\r\n*1\r\n$4\r\nPING\r\n\0\255"
      assert.same({ "OK", key }, (redis.transaction(config, { { "SET", key, key }, { "GET", key } }, 1)))
    end)

    it("on a connection that is used again", function()
      for _ = 1, 20 do
        assert(redis.transaction(config, { { "GET", "text" } }, 1))
      end
      assert(redis.ping(config, 1))
      local clients = redis_server.cli(server, "info stats"):match("total_connections_received:(%d+)")
      -- Ours, those of the cli, and those of waiting for the start.
      local others = 0
      for _ in redis_server.cli(server, "client list"):gmatch("cmd=exec") do
        others = others + 1
      end
      assert.is_true(tonumber(clients) < 20, clients)
      assert.equal(0, others)
    end)

    it("side by side, each to whom it belongs", function()
      local threads, right = {}, 0
      for i = 1, 50 do
        threads[i] = ngx.thread.spawn(function()
          for j = 1, 10 do
            local value = i .. "/" .. j
            local replies = redis.transaction(config, { { "SET", "side:" .. i, value }, { "GET", "side:" .. i } }, 5)
            if replies and replies[2] == value then
              right = right + 1
            end
          end
        end)
      end
      for _, thread in ipairs(threads) do
        ngx.thread.wait(thread)
      end
      assert.equal(500, right)
    end)

    it("a refusal before EXEC with what was refused", function()
      local replies, err = redis.transaction(config, { { "GET", "text" }, { "GET" } }, 1)
      assert.is_nil(replies)
      assert.truthy(err:find("^could not ask unix:.*redis%.sock: ERR wrong number of arguments for 'get' command"), err)
      assert.is_false(redis.reachable())
      -- The connection is in order: nothing of the refused transaction is left on it.
      assert.same({ "hello" }, (redis.transaction(config, { { "GET", "text" } }, 1)))
      assert.is_true(redis.reachable())
    end)

    it("too late, within the time that was given, and never to the next question", function()
      assert(redis.transaction(config, { { "SET", "late", "first" } }, 1))
      redis_server.cli(server, "client pause 400 all")
      ngx.update_time()
      local begun = ngx.now()
      local replies, err = redis.transaction(config, { { "GET", "late" } }, 0.1)
      assert.is_nil(replies)
      assert.truthy(err:find("timeout", 1, true), err)
      assert.is_true(ngx.now() - begun < 0.3)
      assert.is_false(redis.reachable())
      assert.same({ "hello" }, (redis.transaction(config, { { "GET", "text" } }, 5)))
      assert.is_true(redis.reachable())
    end)

    it("nobody who has no time left", function()
      local replies, err = redis.transaction(config, { { "GET", "text" } }, 0)
      assert.is_nil(replies)
      assert.truthy(err:find("timeout", 1, true))
      -- That says nothing about Redis: it is asked at once again.
      assert(redis.transaction(config, { { "GET", "text" } }, 1))
    end)
  end)

  it("that was started again is asked on a fresh connection, without an error", function()
    local server = start()
    local config = config_of("unix:" .. server.socket)
    local threads = {}
    for i = 1, 10 do
      threads[i] = ngx.thread.spawn(function()
        assert(redis.transaction(config, { { "PING" } }, 1))
      end)
    end
    for _, thread in ipairs(threads) do
      ngx.thread.wait(thread)
    end
    redis_server.stop(server)
    redis_server.start_again(server)
    for _ = 1, 12 do
      assert(redis.transaction(config, { { "PING" } }, 1))
    end
  end)

  it("that is not there is left in peace for half a second, then found again", function()
    local port = redis_server.free_port()
    local config = config_of("redis://127.0.0.1:" .. port)
    local replies, err = redis.transaction(config, { { "PING" } }, 1)
    assert.is_nil(replies)
    assert.equal("could not ask redis://127.0.0.1:" .. port .. ": connection refused", err)
    assert.is_false(redis.reachable())
    local failed = ngx.now()
    start("--port " .. port)
    local ok
    ok, err = redis.ping(config, 1)
    -- The start may have taken longer than the rest.
    if not ok then
      assert.truthy(err:find("connection refused; not tried again for another 0%.%ds$"), err)
    else
      assert.is_true(ngx.now() - failed >= 0.5)
    end
    wait_for(function()
      return redis.ping(config, 1)
    end, "redis")
    assert.is_true(ngx.now() - failed >= 0.49)
    assert.is_true(redis.reachable())
  end)

  it("that is not there is not even tried while it is left in peace", function()
    local config = config_of("redis://127.0.0.1:" .. redis_server.free_port())
    redis.ping(config, 1)
    local _, err = redis.ping(config, 1)
    assert.truthy(err:find("not tried again for another 0%.[45]s"), err)
  end)

  it("on a unix socket that does not exist is an error with its path", function()
    local _, err = redis.ping(config_of("unix:/nowhere/redis.sock"), 1)
    assert.equal("could not ask unix:/nowhere/redis.sock: no such file or directory", err)
  end)

  it("by a name without an address is an error of the resolver", function()
    local dns = dns_server.start()
    finally(function()
      dns_server.stop(dns)
    end)
    local _, err = redis.ping(config_of("redis://nobody.internal", { nameservers = dns.address }), 1)
    assert.equal("could not ask redis://nobody.internal:6379: could not resolve nobody.internal: no such name, or it has no addresses", err)
  end)

  it("by a name with several addresses is asked where it listens", function()
    local dns = dns_server.start()
    finally(function()
      dns_server.stop(dns)
    end)
    dns.zone["redis.internal"] = { { type = "A", data = "127.0.0.1" }, { type = "A", data = "127.0.0.2" }, { type = "A", data = "127.0.0.3" } }
    local port = redis_server.free_port()
    start("--bind 127.0.0.2 --port " .. port)
    local config = config_of("redis://redis.internal:" .. port, { nameservers = dns.address })
    assert(redis.ping(config, 1))
  end)

  it("stays within reach while its name cannot be resolved any more", function()
    local dns = dns_server.start()
    finally(function()
      dns_server.stop(dns)
    end)
    dns.zone["redis.internal"] = { { type = "A", data = "127.0.0.1", ttl = 0 } }
    local port = redis_server.free_port()
    start("--port " .. port)
    local config = config_of("redis://redis.internal:" .. port, { nameservers = dns.address, dns_timeout = "200ms" })
    assert(redis.ping(config, 1))
    dns.zone["redis.internal"] = "silent"
    local asked = #dns.asked
    local silent_since = ngx.now()
    while ngx.now() < silent_since + 3.5 do
      assert(redis.transaction(config, { { "PING" } }, 0.1))
      ngx.sleep(0.01)
    end
    assert.is_true(#dns.asked > asked + 4)
  end)

  it("on port and socket of this machine is found by localhost", function()
    local port = redis_server.free_port()
    start("--bind 127.0.0.1 --port " .. port)
    assert(redis.ping(config_of("redis://localhost:" .. port), 1))
  end)

  it("keeps databases apart", function()
    local server = start()
    local zero, one = config_of("unix:" .. server.socket), config_of("unix:" .. server.socket .. "?db=1")
    assert(redis.transaction(one, { { "SET", "where", "one" } }, 1))
    assert(redis.transaction(zero, { { "SET", "where", "zero" } }, 1))
    for _ = 1, 3 do
      assert.same({ "one" }, (redis.transaction(one, { { "GET", "where" } }, 1)))
      assert.same({ "zero" }, (redis.transaction(zero, { { "GET", "where" } }, 1)))
    end
    local _, err = redis.ping(config_of("unix:" .. server.socket .. "?db=99"), 1)
    assert.truthy(err:find("ERR DB index is out of range (check the database at the end of redis_url)", 1, true), err)
  end)

  describe("with a password", function()
    local server

    before_each(function()
      server = start("--port 0 --requirepass hunter2")
    end)

    local function refusal(url)
      local _, err = redis.ping(config_of(url), 1)
      assert.is_nil(err:find("hunter2", 1, true), err)
      assert.is_nil(err:find("wr0ng", 1, true), err)
      return err
    end

    it("answers who knows it", function()
      assert(redis.ping(config_of("unix://:hunter2@" .. server.socket), 1))
      assert(redis.ping(config_of("unix://default:hunter2@" .. server.socket), 1))
    end)

    it("tells who has none, and who has a wrong one, what to do", function()
      assert.truthy(refusal("unix:" .. server.socket):find("NOAUTH Authentication required. (put the password into redis_url", 1, true))
    end)

    it("tells who has a wrong one", function()
      assert.truthy(refusal("unix://:wr0ng@" .. server.socket):find("(check the user and the password in redis_url)", 1, true))
    end)

    it("gives nobody the connection of somebody else", function()
      assert(redis.ping(config_of("unix://:hunter2@" .. server.socket), 1))
      refusal("unix:" .. server.socket)
    end)
  end)

  it("without a password tells who has one", function()
    local server = start()
    local _, err = redis.ping(config_of("unix://:hunter2@" .. server.socket), 1)
    assert.truthy(err:find("(this Redis has no password: leave it out of redis_url)", 1, true), err)
    assert.is_nil(err:find("hunter2", 1, true))
  end)

  describe("with a user of few rights", function()
    local server, config

    before_each(function()
      server = start()
      redis_server.cli(server, "acl setuser router on '>s3cret' resetchannels '~backends:*' -@all +multi +exec +smembers")
      config = config_of("unix://router:s3cret@" .. server.socket)
    end)

    it("answers what the user may ask", function()
      assert.same({ {} }, (redis.transaction(config, { { "SMEMBERS", "backends:a" } }, 1)))
    end)

    it("names the right that is missing, and where to look", function()
      local _, err = redis.transaction(config, { { "HGETALL", "backends:a" } }, 1)
      assert.truthy(err:find("NOPERM", 1, true), err)
      assert.truthy(err:find("'hgetall'", 1, true), err)
      assert.truthy(err:find("(grant the user of redis_url what the README lists", 1, true), err)
    end)

    it("counts as reachable though the user may not ping", function()
      assert(redis.ping(config, 1))
    end)
  end)

  it("that takes no more clients says so", function()
    local port = redis_server.free_port()
    local server = start("--maxclients 1 --port " .. port)
    local socket = ngx.socket.tcp()
    assert(socket:connect("unix:" .. server.socket))
    socket:send("PING\r\n")
    assert.equal("+PONG", (socket:receive()))
    local _, err = redis.transaction(config_of("redis://127.0.0.1:" .. port), { { "GET", "a" } }, 1)
    socket:close()
    assert.truthy(err:find("ERR max number of clients reached (raise maxclients of this Redis)", 1, true), err)
    wait_for(function()
      return redis_server.cli(server, "ping") == "PONG"
    end, "a free place")
  end)

  it("that is a replica without its master says so", function()
    local server = start("--port 0 --replicaof 127.0.0.1 1 --replica-serve-stale-data no")
    local _, err = redis.transaction(config_of("unix:" .. server.socket), { { "GET", "a" } }, 1)
    assert.truthy(err:find("MASTERDOWN", 1, true), err)
    assert.truthy(err:find("lost its master", 1, true), err)
  end)

  describe("over TLS", function()
    local server, port

    before_each(function()
      port = redis_server.free_port()
      local folder = redis_server.run("mktemp -d")
      redis_server.run(("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -keyout %s/key -out %s/cert"):format(folder, folder))
      server = start(("--port 0 --tls-port %d --tls-auth-clients no --tls-cert-file %s/cert --tls-key-file %s/key --tls-ca-cert-file %s/cert --requirepass hunter2"):format(port, folder, folder, folder))
      server.certificates = folder
    end)

    after_each(function()
      redis_server.run("rm -rf " .. server.certificates)
    end)

    it("answers, the handshake and the password once for many questions", function()
      local config = config_of("rediss://:hunter2@localhost:" .. port, { redis_tls_verify = false })
      for _ = 1, 5 do
        assert.same({ "PONG" }, (redis.transaction(config, { { "PING" } }, 2)))
      end
      assert.truthy(redis_server.cli(server, "-a hunter2 --no-auth-warning info commandstats"):find("cmdstat_auth:calls=2,", 1, true))
    end)

    it("is refused with a certificate of nobody, with what to do", function()
      local _, err = redis.ping(config_of("rediss://:hunter2@localhost:" .. port), 2)
      assert.truthy(err:find("TLS: ", 1, true), err)
      assert.truthy(err:find("(name its CA by lua_ssl_trusted_certificate in http {}, or set redis_tls_verify=off)", 1, true), err)
    end)

    it("is an error where plain text is spoken, and the other way round", function()
      local plain_port = redis_server.free_port()
      start("--port " .. plain_port)
      local _, err = redis.ping(config_of("rediss://127.0.0.1:" .. plain_port, { redis_tls_verify = false }), 1)
      assert.truthy(err:find("TLS: ", 1, true), err)
    end)

    it("is an error where plain text is expected", function()
      local _, err = redis.ping(config_of("redis://:hunter2@127.0.0.1:" .. port), 1)
      assert.truthy(err:find("could not ask redis://127.0.0.1:" .. port .. ": ", 1, true), err)
    end)
  end)
end)
