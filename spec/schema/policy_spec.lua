local codec = require("resty.switchboard.route.codec")
local make_policy = require("resty.switchboard.route.policy").make_policy
local lets_in = require("resty.switchboard.route.policy").lets_in
local options = require("resty.switchboard.schema.options")
local policy = require("resty.switchboard.schema.policy")

local function set(name, value, found)
  found = found or {}
  return options.set_option(found, name, value), found
end

describe("options about what a route does with a request", function()
  for _, case in ipairs {
    { "retry_on", "502,503" }, { "retry_on", " 504 " }, { "retry_on", "off" }, { "retry_on", "" },
    { "host_header", "preserve" }, { "host_header", "upstream" }, { "host_header", "[::1]:80" }, { "host_header", "a.example:8080" },
    { "strip_prefix", "on" }, { "max_body", "10m" }, { "max_body", "0" }, { "max_body", "off" }, { "https_redirect", "off" },
    { "hsts", "on" }, { "hsts", "off" }, { "hsts", "31536000s; includeSubDomains; preload" }, { "hsts", "60;preload" },
    { "maintenance", "on" }, { "maintenance", "Back at noon – promised" }, { "retry_after", "5m" },
    { "max_conns", "0" }, { "max_conns", "1000000" }, { "max_inflight", "500" }, { "queue", "10000" }, { "queue_timeout", "250ms" },
    { "allow_ips", "10.0.0.0/8, ::1" }, { "deny_ips", "" },
    { "request_header.X-Tenant", "a b" }, { "request_header.Cookie", "" }, { "response_header.Server", "" },
    { "response_header.Content-Security-Policy", "default-src 'self'; img-src *" },
  } do
    it(("take %s %q, which passes through the shared dict"):format(case[1], case[2]), function()
      local problem, found = set(case[1], case[2])
      assert.is_nil(problem)
      assert.same({ [case[1]] = case[2] }, found.policy)
      local record = { kind = "set", paths_only = false, instances = {}, options = found, problems = {} }
      assert.same(found, codec.decode(codec.encode(record), "").options)
      assert.is_table(make_policy(found.policy, "a.example/api"))
    end)
  end

  for _, case in ipairs {
    { "retry_on", "500", "502" }, { "retry_on", "502;503", "502" }, { "host_header", "a b", "host" }, { "host_header", "", "host" },
    { "host_header", "a\r\nb", "host" }, { "strip_prefix", "yes", "on or off" }, { "max_body", "10x", "size" },
    { "max_body", "-1", "size" }, { "hsts", "1h", "31536000s" }, { "hsts", "on; includeAll", "includeSubDomains" },
    { "hsts", "99999999999", "31536000s" }, { "maintenance", "", "line" }, { "maintenance", ("x"):rep(501), "500" },
    { "maintenance", "two\nlines", "line" }, { "retry_after", "0", "1s" }, { "deny_ips", "10.0.0.0/33", "10.0.0.0/33" },
    { "max_conns", "-1", "whole number from 0 to 1000000" }, { "max_conns", "many", "whole number" }, { "max_inflight", "1.5", "whole number" },
    { "max_conns", "1000001", "1000000" }, { "queue", "10001", "10000" }, { "queue_timeout", "0", "1ms" }, { "queue_timeout", "61s", "60s" },
    { "deny_ips", "a,,b", "empty places" }, { "request_header.Host", "a", "own" }, { "request_header.x-forwarded-for", "a", "own" },
    { "request_header.", "a", "name a header" }, { "request_header.A B", "a", "name a header" },
    { "request_header.X", "a\r\nY: b", "one line" }, { "request_header.X", ("x"):rep(1025), "1024" },
    { "response_header.Content-Length", "1", "own" }, { "response_header.X-Switchboard-Error", "", "own" },
  } do
    it(("leave out %s %q, and say why"):format(case[1], case[2]:sub(1, 20)), function()
      local problem, found = set(case[1], case[2])
      assert.is_truthy(problem and problem:find(case[3], 1, true), problem)
      assert.is_nil(found.policy)
      options.keep_last_good(found, case[1], { policy = { [case[1]] = "last" } })
      assert.same({ [case[1]] = "last" }, found.policy)
    end)
  end

  it("let nobody else in by a bad allow_ips", function()
    local problem, found = set("allow_ips", "10.0.0.0/8,nonsense")
    assert.is_truthy(problem)
    local gate = make_policy(found.policy, "a.example").gate
    assert.is_true(lets_in(gate, "10.1.1.1"))
    assert.is_false(lets_in(gate, "192.0.2.1"))
    local _, none = set("allow_ips", "nonsense")
    assert.is_false(lets_in(make_policy(none.policy, "a.example").gate, "10.1.1.1"))
    assert.is_false(lets_in(make_policy({ allow_ips = "" }, "a.example").gate, "10.1.1.1"))
  end)

  it("remember verdicts about a bounded number of clients, each the same as the first time", function()
    local gate = make_policy({ allow_ips = "10.0.0.0/9", deny_ips = "10.0.1.0/24" }, "a.example").gate
    for _ = 1, 2 do
      for i = 0, 2999 do
        local address = ("10.%d.%d.%d"):format(i % 3 * 100, i % 5, i % 250)
        assert.equal(i % 3 * 100 < 128 and not (i % 3 == 0 and i % 5 == 1), lets_in(gate, address), address)
        assert.is_true(gate.verdict_count <= 1000)
      end
    end
  end)

  it("are inherited one by one, and equal options are equal texts", function()
    local own = { policy = { max_body = "1k" } }
    options.inherit(own, { policy = { max_body = "2k", hsts = "on" } })
    assert.same({ max_body = "1k", hsts = "on" }, own.policy)
    for _, name in ipairs { "x-tenant", "X-TENANT" } do
      own = { policy = { ["request_header." .. name] = "path" } }
      options.inherit(own, { policy = { ["request_header.X-Tenant"] = "host", ["response_header.X-Tenant"] = "host" } })
      assert.same({ ["request_header." .. name] = "path", ["response_header.X-Tenant"] = "host" }, own.policy)
    end
    assert.is_nil(make_policy({ max_body = "off" }, "a.example").max_body)
    assert.equal(0, make_policy({ max_body = "0" }, "a.example").max_body)
    local function text(texts)
      return codec.encode({ kind = "set", paths_only = false, instances = {}, options = { policy = texts }, problems = {} })
    end
    local a, b = {}, {}
    for i = 1, 30 do a["request_header.X-" .. i] = "v" .. i end
    for i = 30, 1, -1 do b["request_header.X-" .. i] = "v" .. i end
    assert.equal(text(a), text(b))
  end)

  it("never raise, whatever bytes come", function()
    math.randomseed(23)
    local names = { "retry_on", "host_header", "strip_prefix", "max_body", "https_redirect", "hsts", "maintenance", "retry_after", "allow_ips",
      "deny_ips", "request_header.X", "response_header.Y", "request_header." }
    for _ = 1, 5000 do
      local bytes = {}
      for i = 1, math.random(0, 40) do bytes[i] = string.char(math.random(0, 255)) end
      local name, value = names[math.random(#names)], table.concat(bytes)
      if math.random(4) == 1 then name = "request_header." .. value end
      local _, found = set(name, value)
      assert.is_true(policy.is_policy(name))
      make_policy(found.policy, "a.example/x")
      codec.decode(codec.encode({ kind = "set", paths_only = false, instances = {}, options = found, problems = {} }), "")
    end
  end)
end)
