local parse = require("resty.switchboard.config.redis_url").parse_redis_url

describe("a Redis URL", function()
  local good = {
    { "redis://127.0.0.1", { servers = { { host = "127.0.0.1", port = 6379 } }, tls = false, db = 0, label = "redis://127.0.0.1:6379" } },
    { "redis://Redis.Internal:6380/2", { servers = { { host = "redis.internal", port = 6380 } }, tls = false, db = 2, label = "redis://redis.internal:6380/2" } },
    { "REDIS://h/", { servers = { { host = "h", port = 6379 } }, tls = false, db = 0, label = "redis://h:6379" } },
    { "rediss://h", { servers = { { host = "h", port = 6379 } }, tls = true, db = 0, label = "rediss://h:6379" } },
    { "redis://[FD00:0::1]:6380", { servers = { { host = "fd00::1", port = 6380 } }, tls = false, db = 0, label = "redis://[fd00::1]:6380" } },
    { "redis://[::1]", { servers = { { host = "::1", port = 6379 } }, tls = false, db = 0, label = "redis://[::1]:6379" } },
    { "redis://:secret@h", { servers = { { host = "h", port = 6379 } }, tls = false, db = 0, password = "secret", label = "redis://h:6379" } },
    { "redis://me:secret@h:1/1", { servers = { { host = "h", port = 1 } }, tls = false, db = 1, user = "me", password = "secret", label = "redis://h:1/1" } },
    { "redis://m%65:s%40%2f%25%3a@h", { servers = { { host = "h", port = 6379 } }, tls = false, db = 0, user = "me", password = "s@/%:", label = "redis://h:6379" } },
    { "redis://me:p@ss:w/o?rd#@h:7/3", { servers = { { host = "h", port = 7 } }, tls = false, db = 3, user = "me", password = "p@ss:w/o?rd#", label = "redis://h:7/3" } },
    { "redis://:%00%0d%0a%ff@h", { servers = { { host = "h", port = 6379 } }, tls = false, db = 0, password = "\0\r\n\255", label = "redis://h:6379" } },
    { "redis://A,b:6380,[FD00::1],[::1]:7/2", { servers = { { host = "a", port = 6379 }, { host = "b", port = 6380 }, { host = "fd00::1", port = 6379 }, { host = "::1", port = 7 } }, tls = false, db = 2, label = "redis://a:6379,b:6380,[fd00::1]:6379,[::1]:7/2" } },
    { "rediss://me:s,e@cret@a,b", { servers = { { host = "a", port = 6379 }, { host = "b", port = 6379 } }, tls = true, db = 0, user = "me", password = "s,e@cret", label = "rediss://a:6379,b:6379" } },
    { "redis+sentinel://s/mymaster", { servers = { { host = "s", port = 26379 } }, master = "mymaster", tls = false, db = 0, label = "redis+sentinel://s:26379/mymaster" } },
    { "Redis+Sentinel://:secret@s:1,[::1],10.0.0.1:3/my-master.1/2", { servers = { { host = "s", port = 1 }, { host = "::1", port = 26379 }, { host = "10.0.0.1", port = 3 } }, master = "my-master.1", tls = false, db = 2, password = "secret", label = "redis+sentinel://s:1,[::1]:26379,10.0.0.1:3/my-master.1/2" } },
    { "rediss+sentinel://s,t/m/", { servers = { { host = "s", port = 26379 }, { host = "t", port = 26379 } }, master = "m", tls = true, db = 0, label = "rediss+sentinel://s:26379,t:26379/m" } },
    { "unix:/run/redis.sock", { servers = {}, path = "/run/redis.sock", tls = false, db = 0, label = "unix:/run/redis.sock" } },
    { "unix:/run/a@b.sock?db=4", { servers = {}, path = "/run/a@b.sock", tls = false, db = 4, label = "unix:/run/a@b.sock?db=4" } },
    { "unix:///run/redis.sock", { servers = {}, path = "/run/redis.sock", tls = false, db = 0, label = "unix:/run/redis.sock" } },
    { "unix://me:secret@/run/redis.sock?db=1", { servers = {}, path = "/run/redis.sock", tls = false, db = 1, user = "me", password = "secret", label = "unix:/run/redis.sock?db=1" } },
    { "unix://:secret@/run/redis.sock", { servers = {}, path = "/run/redis.sock", tls = false, db = 0, password = "secret", label = "unix:/run/redis.sock" } },
  }
  for _, case in ipairs(good) do
    it(("%s is understood"):format(case[1]), function()
      local target = assert(parse(case[1]))
      assert.is_string(target.pool)
      target.pool = nil
      assert.same(case[2], target)
    end)
  end

  local bad = {
    { "", "must begin with redis://" },
    { "127.0.0.1:6379", "must begin with redis://" },
    { "http://h", "must begin with redis://" },
    { "redis:h", "must begin with redis://" },
    { "redis:/h", "must begin with redis://" },
    { "redis://", "the host must be" },
    { "redis:///1", "the host must be" },
    { "redis://:6379", "the host must be" },
    { "redis://10.0.0.300", "the host must be" },
    { "redis://::1", "the host must be" },
    { "redis://[10.0.0.1]", "the host must be" },
    { "redis://[::1", "the host must be" },
    { "redis://-h", "the host must be" },
    { "redis://h_ä", "the host must be" },
    { "redis://h:", "the port must be 1 to 65535" },
    { "redis://h:0", "the port must be 1 to 65535" },
    { "redis://h:65536", "the port must be 1 to 65535" },
    { "redis://h:x", "the port must be 1 to 65535" },
    { "redis://[::1]6379", "the port must be 1 to 65535" },
    { "redis://h/x", "the database must be a whole number" },
    { "redis://h/-1", "the database must be a whole number" },
    { "redis://h/1/2", "the database must be a whole number" },
    { "redis://h?db=1", "only /db may follow the host" },
    { "redis://me@h", "a user needs a password" },
    { "redis://me:@h", "the password is empty" },
    { "redis://:@h", "the password is empty" },
    { "redis://:100%@h", "a % in the user or password must be written %25" },
    { "redis://:%zz@h", "a % in the user or password must be written %25" },
    { "redis://:%4@h", "a % in the user or password must be written %25" },
    { "redis://a,", "the host must be" },
    { "redis://,a", "the host must be" },
    { "redis://a,,b", "the host must be" },
    { "redis://a,b:x", "the port must be 1 to 65535" },
    { "redis://a/1,b/1", "the database must be a whole number" },
    { "redis://" .. ("a,"):rep(16) .. "a", "at most 16 servers" },
    { "redis+sentinel://s", "the master's name must follow the sentinels" },
    { "redis+sentinel://s/", "the master's name must follow the sentinels" },
    { "redis+sentinel://s/m/x", "the database must be a whole number" },
    { "redis+sentinel://s/m?db=1", "only /db may follow" },
    { "redis+sentinel://", "the host must be" },
    { "redis+cluster://h", "must begin with redis://" },
    { "unix+sentinel:/run/s.sock", "must begin with redis://" },
    { "redis://h h", "blanks and control characters" },
    { "redis://h\n", "blanks and control characters" },
    { "redis://h\0", "blanks and control characters" },
    { "unix:", "a unix socket needs an absolute path" },
    { "unix:redis.sock", "a unix socket needs an absolute path" },
    { "unix://redis.sock", "a unix socket needs an absolute path" },
    { "unix:/" .. ("x"):rep(107), "a unix socket needs an absolute path of at most 107 bytes" },
    { "unix:/run/redis.sock?database=1", "only ?db=n may follow the path" },
    { "unix:/run/redis.sock?db=x", "the database must be a whole number" },
  }
  for _, case in ipairs(bad) do
    it(("%q is refused"):format(case[1]:sub(1, 40)), function()
      local target, err = parse(case[1])
      assert.is_nil(target)
      assert.truthy(err:find(case[2], 1, true), err)
    end)
  end

  it("has a pool of its own for each address, user, password, db and TLS", function()
    local urls = {
      "redis://h", "redis://i", "redis://h:1", "redis://h/1", "rediss://h", "redis://:a@h", "redis://:b@h", "redis://u:a@h",
      "redis://v:a@h", "redis://h,i", "redis://i,h", "redis+sentinel://h:6379/m", "redis+sentinel://h:6379/n", "unix:/h", "unix:/i", "unix:/h?db=1", "unix://:a@/h",
    }
    local pools = {}
    for _, url in ipairs(urls) do
      local pool = assert(parse(url)).pool
      assert.is_nil(pools[pool], url .. " and " .. tostring(pools[pool]))
      pools[pool] = url
      assert.equal(pool, assert(parse(url)).pool)
    end
  end)

  it("shows its secrets neither in the pool's name nor in the label", function()
    local target = assert(parse("redis://administrator:hunter2@h/1"))
    for _, secret in ipairs({ "hunter2", ngx.md5("hunter2"), ngx.md5("administrator\nhunter2") }) do
      assert.is_nil((target.pool .. target.label):find(secret, 1, true))
    end
  end)

  it("shows no part of itself when it is refused", function()
    local broken = {
      "redis://user:hunter2@", "redis://user:hunter2@h:x", "redis://user:hunter2@h/x", "redis://user:hunter2@h?x", "hunter2@h",
      "redis://hunter2", "redis://hunter2@h", "redis://:hunter2/@h:/", "redis://:hunter2%@h", "unix://u:hunter2@h", "hunter2",
      "redis://u:hunter2 @h",
    }
    for _, url in ipairs(broken) do
      local target, err = parse(url)
      assert.is_true(target ~= nil or not err:find("hunter2", 1, true), err)
    end
  end)

  it("gives back what was percent-encoded into it, whatever it was", function()
    math.randomseed(20261123)
    local function random_text()
      local bytes = {}
      for i = 1, math.random(1, 20) do
        bytes[i] = string.char(math.random(0, 255))
      end
      return table.concat(bytes)
    end
    local function encode(text)
      return (text:gsub("[^%w]", function(byte)
        return ("%%%02X"):format(byte:byte())
      end))
    end
    for _ = 1, 3000 do
      local user, password = random_text(), random_text()
      local port, db = math.random(1, 65535), math.random(0, 999999)
      local target = assert(parse(("redis://%s:%s@h:%d/%d"):format(encode(user), encode(password), port, db)))
      assert.same({ user, password, port, db }, { target.user, target.password, target.servers[1].port, target.db })
    end
  end)

  it("that is garbage raises nothing", function()
    math.randomseed(13)
    local pieces = { "redis", "rediss", "unix", ":", "/", "//", "@", "[", "]", "%", "%41", "?", "db=", "1", "h", ",", "+sentinel", ".", "-", "#", "\255" }
    for _ = 1, 50000 do
      local words = {}
      for i = 1, math.random(0, 12) do
        words[i] = pieces[math.random(#pieces)]
      end
      local target, err = parse(table.concat(words))
      assert.is_true((target == nil) ~= (err == nil))
    end
  end)
end)
