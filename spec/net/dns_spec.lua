local dns_server = require("net.dns_server")
local read_config = require("resty.switchboard.config").read_config

describe("a name", function()
  local server, config, dns, servers

  local function start()
    local started = dns_server.start()
    servers[#servers + 1] = started
    return started
  end

  before_each(function()
    -- Specs before this one may have computed for long: timeouts would count from then, and end at once.
    ngx.update_time()
    -- What the worker knows begins anew.
    for _, name in ipairs({ "dns", "dns_query", "system" }) do
      package.loaded["resty.switchboard.net." .. name] = nil
    end
    dns = require("resty.switchboard.net.dns")
    servers = {}
    server = start()
    config = read_config({ nameservers = server.address, dns_timeout = "100ms" }, 2)
  end)

  after_each(function()
    for _, started in ipairs(servers) do
      dns_server.stop(started)
    end
  end)

  local function resolve(name, patience)
    return dns.resolve(name, config, ngx.now() + (patience or 2))
  end

  local function wait_for(condition)
    for _ = 1, 2000 do
      if condition() then
        return
      end
      ngx.sleep(0.005)
    end
    error("waited for ten seconds in vain", 2)
  end

  it("that is an address is itself, and nobody is asked", function()
    assert.same({ "10.0.0.1" }, (resolve("10.0.0.1")))
    assert.same({ "2001:db8::1" }, (resolve("2001:DB8:0::1")))
    assert.same({}, server.asked)
  end)

  it("of /etc/hosts is not asked for", function()
    assert.equal("127.0.0.1", resolve("LocalHost")[1])
    assert.same({}, server.asked)
  end)

  it("has the addresses of both families: canonical, sorted, each once", function()
    server.zone["web.internal."] = nil
    server.zone["web.internal"] = {
      { type = "A", data = "10.0.0.9" }, { type = "A", data = "10.0.0.10" }, { type = "A", data = "10.0.0.9" },
      { type = "AAAA", data = "fd00:0:0:0:0:0:0:1" },
    }
    local addresses, ttl, err = resolve("Web.Internal")
    assert.is_nil(err)
    assert.same({ "10.0.0.10", "10.0.0.9", "fd00::1" }, addresses)
    assert.is_true(ttl > 59 and ttl <= 60)
    table.sort(server.asked)
    assert.same({ "web.internal A", "web.internal AAAA" }, server.asked)
  end)

  it("may be an alias; the shortest TTL on the way counts", function()
    server.zone["alias.internal"] = {
      { type = "CNAME", data = "real.internal", ttl = 7 }, { type = "A", name = "real.internal", data = "10.0.0.1", ttl = 60 },
    }
    local addresses, ttl = resolve("alias.internal")
    assert.same({ "10.0.0.1" }, addresses)
    assert.is_true(ttl > 6 and ttl <= 7)
  end)

  it("is asked for again when its TTL has ended, not before, and at most each second", function()
    server.zone["web.internal"] = { { type = "A", data = "10.0.0.1", ttl = 0 } }
    local _, ttl = resolve("web.internal")
    assert.is_true(ttl > 0.9 and ttl <= 1)
    server.zone["web.internal"] = { { type = "A", data = "10.0.0.2", ttl = 0 } }
    assert.same({ "10.0.0.1" }, (resolve("web.internal")))
    assert.equal(2, #server.asked)
    wait_for(function()
      return resolve("web.internal")[1] == "10.0.0.2"
    end)
    assert.equal(4, #server.asked)
  end)

  it("is believed for an hour at most", function()
    server.zone["web.internal"] = { { type = "A", data = "10.0.0.1", ttl = 4000000000 } }
    local _, ttl = resolve("web.internal")
    assert.is_true(ttl <= 3600)
  end)

  it("is asked for once, however many want to know", function()
    server.delay = 0.05
    server.zone["web.internal"] = { { type = "A", data = "10.0.0.1" } }
    local threads, answers = {}, 0
    for i = 1, 200 do
      threads[i] = ngx.thread.spawn(function()
        if resolve("web.internal")[1] == "10.0.0.1" then
          answers = answers + 1
        end
      end)
    end
    for _, thread in ipairs(threads) do
      ngx.thread.wait(thread)
    end
    assert.equal(200, answers)
    assert.equal(2, #server.asked)
  end)

  it("of many is asked for in its turn, without a timer each", function()
    server.delay = 0.01
    local threads, right = {}, 0
    for i = 1, 400 do
      server.zone["web" .. i .. ".internal"] = { { type = "A", data = "10.0." .. math.floor(i / 256) .. "." .. i % 256 } }
      threads[i] = ngx.thread.spawn(function()
        local addresses = resolve("web" .. i .. ".internal", 8)
        if addresses and addresses[1] == "10.0." .. math.floor(i / 256) .. "." .. i % 256 then
          right = right + 1
        end
      end)
    end
    for _, thread in ipairs(threads) do
      ngx.thread.wait(thread)
    end
    assert.equal(400, right)
  end)

  it("that does not exist is an error, and asked for again after a second", function()
    local addresses, err = resolve("nobody.internal")
    assert.is_nil(addresses)
    assert.equal("could not resolve nobody.internal: no such name, or it has no addresses", err)
    local asked = #server.asked
    resolve("nobody.internal")
    assert.equal(asked, #server.asked)
    server.zone["nobody.internal"] = { { type = "A", data = "10.0.0.1" } }
    wait_for(function()
      return resolve("nobody.internal") ~= nil
    end)
  end)

  it("keeps its last good addresses while it cannot be resolved", function()
    server.zone["web.internal"] = { { type = "A", data = "10.0.0.1", ttl = 0 } }
    resolve("web.internal")
    for _, failure in ipairs({ { rcode = 2 }, "silent", "malformed", { rcode = 3 } }) do
      server.zone["web.internal"] = failure
      local addresses, ttl, err
      wait_for(function()
        addresses, ttl, err = resolve("web.internal")
        return err ~= nil
      end)
      assert.same({ "10.0.0.1" }, addresses)
      assert.equal(1, ttl)
      assert.equal("could not resolve web.internal: ", err:sub(1, 32))
    end
    server.zone["web.internal"] = { { type = "A", data = "10.0.0.2", ttl = 0 } }
    wait_for(function()
      local addresses, _, err = resolve("web.internal")
      return err == nil and addresses[1] == "10.0.0.2"
    end)
  end)

  it("is not waited for beyond the deadline, and known all the same later", function()
    server.delay = 0.06
    server.zone["slow.internal"] = { { type = "A", data = "10.0.0.1" } }
    local begun = ngx.now()
    local addresses, err = resolve("slow.internal", 0.01)
    assert.is_nil(addresses)
    assert.equal("could not resolve slow.internal: no answer in time", err)
    assert.is_true(ngx.now() - begun < 0.05)
    wait_for(function()
      return resolve("slow.internal", 0) ~= nil
    end)
    assert.equal(2, #server.asked)
  end)

  it("is asked of the next server when one is silent, and of that one first from then on", function()
    local other = start()
    server.zone["web.internal"] = "silent"
    server.zone["app.internal"] = "silent"
    other.zone["web.internal"] = { { type = "A", data = "10.0.0.1" } }
    other.zone["app.internal"] = { { type = "A", data = "10.0.0.2" } }
    config = read_config({ nameservers = { server.address, other.address }, dns_timeout = "50ms" }, 2)
    assert.same({ "10.0.0.1" }, (resolve("web.internal")))
    local asked = #server.asked
    assert.same({ "10.0.0.2" }, (resolve("app.internal")))
    assert.equal(asked, #server.asked)
  end)

  it("is asked of the next server when one refuses", function()
    local other = start()
    server.zone["web.internal"] = { rcode = 5 }
    other.zone["web.internal"] = { { type = "A", data = "10.0.0.1" } }
    config = read_config({ nameservers = { server.address, other.address } }, 2)
    assert.same({ "10.0.0.1" }, (resolve("web.internal")))
  end)

  it("is asked for once more when a datagram is lost", function()
    local lost = false
    server.zone["web.internal A"] = function()
      if not lost then
        lost = true
        return "silent"
      end
      return { { type = "A", data = "10.0.0.1" } }
    end
    assert.same({ "10.0.0.1" }, (resolve("web.internal")))
    assert.is_true(lost)
  end)

  it("has the addresses of one family though the other is never answered", function()
    server.zone["web.internal A"] = { { type = "A", data = "10.0.0.1" } }
    server.zone["web.internal AAAA"] = "silent"
    local addresses, _, err = resolve("web.internal")
    assert.same({ "10.0.0.1" }, addresses)
    assert.is_nil(err)
  end)

  it("names the server that does not know", function()
    server.zone["web.internal"] = { rcode = 2 }
    local _, err = resolve("web.internal")
    assert.equal("could not resolve web.internal: nameserver " .. server.address .. " answered: server failure", err)
  end)

  it("that is none is refused unasked", function()
    for _, name in ipairs({ "", ".", "a..b", ".a", "a b", "a\n", "a/b", "*", ("a"):rep(64), ("a."):rep(130) .. "b" }) do
      local addresses, err = resolve(name)
      assert.is_nil(addresses)
      assert.truthy(err:find("not a DNS name", 1, true))
    end
    assert.same({}, server.asked)
  end)

  it("survives answers that are garbage", function()
    math.randomseed(20261123)
    for i = 1, 40 do
      server.zone["garbage" .. i .. ".internal"] = "malformed"
      local addresses, err = resolve("garbage" .. i .. ".internal")
      assert.is_nil(addresses)
      assert.truthy(err:find("could not resolve", 1, true))
    end
  end)
end)

describe("the search list", function()
  local candidates = require("resty.switchboard.net.dns_query").candidates
  local search = { "a.internal", "internal" }

  it("comes first for a name with fewer dots than ndots, else last", function()
    assert.same({ "web.a.internal", "web.internal", "web" }, candidates("web", search, 1))
    assert.same({ "web.app", "web.app.a.internal", "web.app.internal" }, candidates("web.app", search, 1))
    assert.same({ "web.app.a.internal", "web.app.internal", "web.app" }, candidates("web.app", search, 5))
    assert.same({ "web", "web.a.internal", "web.internal" }, candidates("web", search, 0))
  end)

  it("is left out for a name that ends in a dot", function()
    assert.same({ "web" }, candidates("web.", search, 5))
  end)

  it("is gone through on the wire until a name has addresses", function()
    local server = dns_server.start()
    finally(function()
      dns_server.stop(server)
    end)
    local find = require("resty.switchboard.net.dns_query").find
    server.zone["web.internal"] = { { type = "A", data = "10.0.0.1" } }
    local finding = find({ servers = { { host = "127.0.0.1", port = server.port } }, search = search, ndots = 1, timeout = 1 }, "web")
    assert.same({ "10.0.0.1" }, finding.addresses)
    table.sort(server.asked)
    assert.same({ "web.a.internal A", "web.a.internal AAAA", "web.internal A", "web.internal AAAA" }, server.asked)
  end)
end)
