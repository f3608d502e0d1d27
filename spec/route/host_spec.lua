local host = require("resty.switchboard.route.host")

describe("a host becomes the name it has in Redis keys", function()
  local good = {
    { "app.example.com", "app.example.com" },
    { "APP.Example.COM", "app.example.com" },
    { "app.example.com.", "app.example.com" },
    { "app.example.com:8080", "app.example.com" },
    { "app.example.com.:8080", "app.example.com" },
    { "localhost", "localhost" },
    { "_acme.under_score.example", "_acme.under_score.example" },
    { "10.0.0.5", "10.0.0.5" },
    { "10.0.0.5:80", "10.0.0.5" },
    { "[::1]", "::1" },
    { "[2001:DB8:0:0::1]:8443", "2001:db8::1" },
    { "2001:db8::1", "2001:db8::1" },
    { ("a"):rep(63) .. ".example", ("a"):rep(63) .. ".example" },
  }
  for _, case in ipairs(good) do
    it(("%q is %q"):format(case[1]:sub(1, 40), case[2]:sub(1, 40)), function()
      assert.equal(case[2], host.normalise(case[1]))
    end)
  end

  local bad = {
    "", ".", "..", ".example.com", "a..b", "*", "*.example.com", "@pool", "app/api", "a b", "a\r\nb", "a\0b",
    "app:port", "[::1", "::1]", "[::g]", "1:2:3", "{name}", "a%2eb", "b\195\188cher.example", ("a"):rep(64) .. ".example",
    ("a."):rep(150) .. "b", ("x"):rep(300), "backends:app",
  }
  for _, case in ipairs(bad) do
    it(("%q is none"):format(case:sub(1, 40)), function()
      assert.is_nil(host.normalise(case))
    end)
  end

  it("never lets a byte through that has a meaning in keys, whatever comes", function()
    math.randomseed(20261123)
    local bytes = "abz019.-_:[]*@/{}%?# \r\n\0\255AZ"
    for _ = 1, 20000 do
      local text = {}
      for i = 1, math.random(1, 24) do
        local at = math.random(#bytes)
        text[i] = bytes:sub(at, at)
      end
      local name = host.normalise(table.concat(text))
      if name then
        assert.is_truthy(name:find("^[a-z0-9._:-]+$"), name)
        assert.equal(name, host.normalise(name:find(":") and "[" .. name .. "]" or name))
      end
    end
  end)
end)

describe("the patterns that may know a name", function()
  it("are its suffixes from the longest, then *", function()
    assert.same({ "*.b.example.com", "*.example.com", "*.com", "*" }, host.patterns("a.b.example.com"))
    assert.same({ "*" }, host.patterns("localhost"))
  end)

  it("are only * for an address", function()
    assert.same({ "*" }, host.patterns("10.0.0.5"))
    assert.same({ "*" }, host.patterns("2001:db8::1"))
  end)
end)
