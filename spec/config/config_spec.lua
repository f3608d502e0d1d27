local ffi = require("ffi")
local read_config = require("resty.switchboard.config").read_config
local options = require("resty.switchboard.config.options").OPTIONS

pcall(ffi.cdef, "int setenv(const char *name, const char *value, int overwrite); int unsetenv(const char *name);")

local set = {}

local function setenv(name, value)
  assert(ffi.C.setenv(name, value, 1) == 0)
  set[#set + 1] = name
end

local function file(text)
  local path = os.tmpname()
  local handle = assert(io.open(path, "w"))
  handle:write(text)
  handle:close()
  finally(function()
    os.remove(path)
  end)
  return path
end

--- The error that reading these options raises, without the place in front of it.
local function refusal(given)
  local ok, err = pcall(read_config, given, 2)
  assert.is_false(ok)
  return (err:gsub("^[^:]+:%d+: ", ""))
end

describe("the options", function()
  before_each(function()
    -- Whoever runs the specs may have some set.
    local environment = io.popen("env")
    for line in environment:lines() do
      local name = line:match("^(SWITCHBOARD_[^=]*)=")
      if name then
        ffi.C.unsetenv(name)
      end
    end
    environment:close()
  end)

  after_each(function()
    for _, name in ipairs(set) do
      ffi.C.unsetenv(name)
    end
    set = {}
  end)

  it("have defaults", function()
    local config = read_config(nil, 2)
    local expected = {
      redis_timeout = 1, redis_tls_verify = true, redis_sentinel_password = "", key_format = "{kind}:{name}", ttl = 10, stale_while_refresh = 10,
      load_timeout = 0.25, max_stale = 0, watch = "auto", preload = false, guard_share = 0.5, guard_hold = 3600, snapshot_max_age = 0, negative_ttl = 2, empty_hold = 0.25, clock_slack = 5,
      balance = { algorithm = "round_robin" }, sticky_secret = "", tries = 0, retry_budget = 0.2,
      connect_timeout = 3, send_timeout = 60, read_timeout = 60, deadline = 0, websocket_timeout = 3600, keepalive_idle = 4,
      keepalive_requests = 1000, trusted_proxies = {}, deny_instances = {}, nameservers = {}, dns_timeout = 0.5,
      error_body = true, worker_cache = 10000, observe = "on", debug_token = "", eject = "failures", schema = { "native" }, server_schemas = {}, legacy_prefix = "", dead_ttl = 30,
      admin_listen = "127.0.0.1:8081", admin_token = "",
    }
    assert.equal("redis://127.0.0.1:6379", config.redis_url.label)
    config.redis_url = nil
    assert.same(expected, config)
  end)

  it("let other machines reach the admin server with a token alone", function()
    for _, listen in ipairs({ "8081", "0.0.0.0:8081", "[::]:8081", "10.0.0.1:8081", "[fd00::1]:8081" }) do
      assert.truthy(refusal({ admin_listen = listen }):find("admin_listen \"" .. listen .. "\" is reached from other machines: set admin_token too", 1, true))
      assert.equal(listen, read_config({ admin_listen = listen, admin_token = "s3cret" }, 2).admin_listen)
    end
    for _, listen in ipairs({ "127.0.0.1:8081", "127.1.2.3:80", "[::1]:8081" }) do
      assert.equal(listen, read_config({ admin_listen = listen }, 2).admin_listen)
    end
    for _, wrong in ipairs({ "", "x", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "::1:8081", "[127.0.0.1]:8081", "localhost:8081", "8081;" }) do
      assert.truthy(refusal({ admin_listen = wrong }):find("admin_listen must be a port, address:port or [address]:port", 1, true), wrong)
    end
  end)

  it("all take their own defaults and have a line that says what they are for", function()
    for _, option in ipairs(options) do
      assert.is_true(#option.describe > 10, option.name)
      if option.default then
        assert.is_not_nil((option.parse(option.default)), option.name)
      end
    end
  end)

  it("are taken from Lua", function()
    local config = read_config({
      redis_url = "unix:/run/redis.sock", ttl = "2s", load_timeout = 0.5, error_body = false, redis_tls_verify = "off",
      tries = 2, deny_instances = { "10.0.0.0/8", "::1" }, nameservers = "10.0.0.53:5353,fd00::53",
    }, 2)
    assert.equal("/run/redis.sock", config.redis_url.path)
    assert.equal(2, config.ttl)
    assert.equal(0.5, config.load_timeout)
    assert.is_false(config.error_body)
    assert.is_false(config.redis_tls_verify)
    assert.equal(2, config.tries)
    assert.equal(2, #config.deny_instances)
    assert.same({ { host = "10.0.0.53", port = 5353 }, { host = "[fd00::53]", port = 53 } }, config.nameservers)
  end)

  it("are taken from the environment", function()
    setenv("SWITCHBOARD_REDIS_URL", "redis://redis.internal/3")
    setenv("SWITCHBOARD_TTL", "250ms")
    setenv("SWITCHBOARD_ERROR_BODY", "off")
    setenv("SWITCHBOARD_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1")
    local config = read_config(nil, 2)
    assert.equal("redis://redis.internal:6379/3", config.redis_url.label)
    assert.equal(0.25, config.ttl)
    assert.is_false(config.error_body)
    assert.equal(2, #config.trusted_proxies)
  end)

  it("of Lua win over the environment, which wins over the defaults", function()
    setenv("SWITCHBOARD_TTL", "3s")
    setenv("SWITCHBOARD_ERROR_BODY", "on")
    setenv("SWITCHBOARD_NEGATIVE_TTL", "7s")
    local config = read_config({ ttl = 5, error_body = false }, 2)
    assert.equal(5, config.ttl)
    assert.is_false(config.error_body)
    assert.equal(7, config.negative_ttl)
  end)

  it("that are empty in the environment are not set", function()
    setenv("SWITCHBOARD_TTL", "")
    setenv("SWITCHBOARD_REDIS_URL_FILE", "")
    assert.equal(10, read_config(nil, 2).ttl)
  end)

  it("are read from files, the line's end left out", function()
    setenv("SWITCHBOARD_REDIS_URL_FILE", file("redis://:s3cret@redis.internal\n"))
    setenv("SWITCHBOARD_TTL_FILE", file(" 3s \r\n"))
    local config = read_config(nil, 2)
    assert.equal("s3cret", config.redis_url.password)
    assert.equal(3, config.ttl)
  end)

  it("fold key_prefix into key_format", function()
    assert.equal("sb:{kind}:{name}", read_config({ key_prefix = "sb:" }, 2).key_format)
    assert.equal("sb:{kind}:{{name}}", read_config({ key_format = "sb:{kind}:{{name}}" }, 2).key_format)
    assert.is_nil(read_config({ key_prefix = "sb:" }, 2).key_prefix)
  end)

  it("of services called switchboard, which Kubernetes and Docker put there, are nobody's", function()
    setenv("SWITCHBOARD_SERVICE_HOST", "10.96.0.7")
    setenv("SWITCHBOARD_SERVICE_PORT", "80")
    setenv("SWITCHBOARD_SERVICE_PORT_HTTP", "80")
    setenv("SWITCHBOARD_PORT", "tcp://10.96.0.7:80")
    setenv("SWITCHBOARD_PORT_80_TCP", "tcp://10.96.0.7:80")
    setenv("SWITCHBOARD_PORT_80_TCP_ADDR", "10.96.0.7")
    setenv("SWITCHBOARD_REDIS_PORT_6379_TCP_PROTO", "tcp")
    assert.equal(10, read_config(nil, 2).ttl)
  end)

  describe("are refused", function()
    local cases = {
      { { ttl = "ten" }, 'configure: ttl must be a time such as 10, 250ms, 2s or 1m, at least 0.1s, at most 86400s; got "ten"' },
      { { ttl = "50ms" }, 'configure: ttl must be a time such as 10, 250ms, 2s or 1m, at least 0.1s, at most 86400s; got "50ms"' },
      { { ttl = -1 }, "configure: ttl must be a time such as 10, 250ms, 2s or 1m, at least 0.1s, at most 86400s; got -1" },
      { { tries = 101 }, "configure: tries must be a whole number, at most 100; got 101" },
      { { error_body = "maybe" }, 'configure: error_body must be on or off; got "maybe"' },
      { { tll = 5 }, 'configure: unknown option "tll"; did you mean ttl?' },
      { { [1] = "ttl" }, "configure: unknown option 1" },
      { { deny_instances = "10.0.0.0/8,10.0.0.0/33" }, 'configure: deny_instances must be a comma-separated list of addresses and ranges such as 10.0.0.0/8 or ::1 ("10.0.0.0/33": the prefix length must be 0 to 32); got "10.0.0.0/8,10.0.0.0/33"' },
      { { nameservers = { "dns.example.com" } }, 'configure: nameservers must be a comma-separated list of addresses such as 10.0.0.53, 10.0.0.53:5353 or [fd00::53]:5353 ("dns.example.com": not an IP address with or without a port)' },
      { { key_format = "{kind}" }, 'configure: key_format must contain {kind} and {name} once each and no blanks, such as {kind}:{name} or sb:{kind}:{{name}}; got "{kind}"' },
      { { key_format = "{kind}{kind}{name}" }, "configure: key_format must contain" },
      { { key_prefix = "{name}" }, "configure: key_prefix must be a text without blanks" },
      { { key_prefix = "a:", key_format = "{kind}:{name}" }, "configure: key_prefix and key_format are both set" },
      { { redis_url = 6379 }, "configure: redis_url must be redis://[user:password@]host[:port][,host…][/db], redis+sentinel://host[:port][,host…]/master[/db], the same with rediss, or unix:/path" },
      { { redis_tls_cert = "cert.pem" }, "configure: redis_tls_cert must be the path of a file, from / on" },
      { { redis_tls_cert = "/etc/cert.pem" }, "configure: redis_tls_cert and redis_tls_key go together" },
      { { redis_tls_key = "/etc/key.pem" }, "configure: redis_tls_cert and redis_tls_key go together" },
      { { redis_sentinel_user = "me" }, "configure: redis_sentinel_user needs a redis_sentinel_password" },
      { "ttl=5", 'configure: options must be a table such as {ttl = "5s"}; got "ttl=5"' },
    }
    for _, case in ipairs(cases) do
      it(case[2]:sub(12, 60), function()
        local err = refusal(case[1])
        assert.equal(case[2], err:sub(1, #case[2]))
        assert.is_nil(err:find("\n"))
      end)
    end

    it("with the line of whoever called, so that the first line of nginx's error tells all", function()
      local function configure(given)
        local config = read_config(given, 3)
        return config
      end
      local here
      local ok, err = pcall(function()
        here = debug.getinfo(1, "l").currentline + 1
        configure({ ttl = "ten" })
      end)
      assert.is_false(ok)
      assert.truthy(err:find("^[^\n]*config_spec%.lua:" .. here .. ": configure: ttl must be"), err)
    end)

    it("with the variable they came from", function()
      setenv("SWITCHBOARD_TTL", "ten")
      assert.truthy(refusal():find('got "ten" (from SWITCHBOARD_TTL)', 1, true))
    end)

    it("when they are unknown variables", function()
      setenv("SWITCHBOARD_TLL", "5")
      assert.equal("configure: unknown environment variable SWITCHBOARD_TLL; did you mean SWITCHBOARD_TTL?", refusal())
    end)

    it("when they are unknown variables, far from any", function()
      setenv("SWITCHBOARD_COFFEE_MACHINE", "5")
      assert.equal("configure: unknown environment variable SWITCHBOARD_COFFEE_MACHINE", refusal())
    end)

    it("when a variable and its file are both set", function()
      setenv("SWITCHBOARD_TTL", "5")
      setenv("SWITCHBOARD_TTL_FILE", "/nowhere")
      assert.equal("configure: SWITCHBOARD_TTL and SWITCHBOARD_TTL_FILE are both set; unset one of them", refusal())
    end)

    it("when a file cannot be read", function()
      setenv("SWITCHBOARD_REDIS_URL_FILE", "/nowhere/secret")
      assert.equal("configure: could not read the file that SWITCHBOARD_REDIS_URL_FILE names: /nowhere/secret: No such file or directory", refusal())
      setenv("SWITCHBOARD_REDIS_URL_FILE", "/")
      assert.truthy(refusal():find("SWITCHBOARD_REDIS_URL_FILE names: /: ", 1, true))
    end)

    it("without a word of a secret, wherever it came from", function()
      local url = "redis://admin:hunter2@red is/0"
      local in_lua = refusal({ redis_url = url })
      setenv("SWITCHBOARD_REDIS_URL", url)
      local in_environment = refusal()
      ffi.C.unsetenv("SWITCHBOARD_REDIS_URL")
      setenv("SWITCHBOARD_REDIS_URL_FILE", file(url .. "\nhunter2"))
      local in_file = refusal()
      assert.truthy(in_environment:find("(from SWITCHBOARD_REDIS_URL)", 1, true))
      assert.truthy(in_file:find("(from SWITCHBOARD_REDIS_URL_FILE)", 1, true))
      for _, err in ipairs({ in_lua, in_environment, in_file }) do
        assert.is_nil(err:find("hunter2", 1, true), err)
        assert.is_nil(err:find("admin", 1, true), err)
      end
    end)

    it("on one line and no longer than one reads", function()
      local err = refusal({ ttl = ("x"):rep(5000) .. "\n" })
      assert.is_true(#err < 300)
      assert.is_nil(refusal({ ttl = "a\nb" }):find("\n"))
    end)
  end)
end)
