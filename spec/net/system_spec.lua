local system = require("resty.switchboard.net.system")

describe("/etc/hosts", function()
  local hosts = system.parse_hosts([[
# a comment
127.0.0.1	localhost Local.Example  # another
::1       localhost ip6-localhost
10.0.0.9  web web.internal
10.0.0.8  web
10.0.0.8  web
not.an.address broken
010.0.0.1 broken
]] .. "10.0.0.7 last\r\n10.0.0.6")

  it("names addresses: each once, sorted, by lower-case name", function()
    assert.same({ "127.0.0.1", "::1" }, hosts["localhost"])
    assert.same({ "127.0.0.1" }, hosts["local.example"])
    assert.same({ "10.0.0.8", "10.0.0.9" }, hosts["web"])
    assert.same({ "10.0.0.9" }, hosts["web.internal"])
    assert.same({ "10.0.0.7" }, hosts["last"])
  end)

  it("says nothing in lines that are not understood", function()
    assert.is_nil(hosts["broken"])
    assert.is_nil(hosts["another"])
  end)

  it("of this machine is read, and localhost is known even where it is missing", function()
    assert.equal("127.0.0.1", system.read_hosts()["localhost"][1])
    assert.same({ "127.0.0.1", "::1" }, system.parse_hosts("")["localhost"])
  end)
end)

describe("/etc/resolv.conf", function()
  it("names servers, the search list and ndots", function()
    local conf = system.parse_resolv_conf([[
; made by hand
nameserver 10.0.0.53
nameserver fd00::53 # the other one
nameserver fe80::1%eth0
nameserver
search  Default.svc.cluster.local svc.cluster.local. .
options timeout:1 ndots:5 rotate
]])
    assert.same({ { host = "10.0.0.53", port = 53 }, { host = "[fd00::53]", port = 53 } }, conf.nameservers)
    assert.same({ "default.svc.cluster.local", "svc.cluster.local" }, conf.search)
    assert.equal(5, conf.ndots)
  end)

  it("believes the last of search and domain", function()
    assert.same({ "b.example" }, system.parse_resolv_conf("search a.example\ndomain b.example\n").search)
  end)

  it("without a server means the one on this machine", function()
    local conf = system.parse_resolv_conf("")
    assert.same({ { host = "127.0.0.1", port = 53 } }, conf.nameservers)
    assert.same({}, conf.search)
    assert.equal(1, conf.ndots)
  end)

  it("caps ndots as resolv.conf(5) does", function()
    assert.equal(15, system.parse_resolv_conf("options ndots:99").ndots)
  end)

  it("survives garbage", function()
    math.randomseed(3)
    local pieces = { "nameserver", "search", "options", "ndots:", " ", "\n", "\r", "\t", "#", "\0", "1.2.3.4", "::", "-1", "\255" }
    for _ = 1, 5000 do
      local words = {}
      for i = 1, math.random(0, 20) do
        words[i] = pieces[math.random(#pieces)]
      end
      local text = table.concat(words)
      assert.is_true(#system.parse_resolv_conf(text).nameservers > 0)
      system.parse_hosts(text)
    end
  end)
end)
