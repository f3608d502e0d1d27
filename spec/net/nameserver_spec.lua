local nameserver = require("resty.switchboard.net.nameserver")

describe("a nameserver", function()
  local good = {
    { "10.0.0.53", "10.0.0.53", 53 },
    { "10.0.0.53:5353", "10.0.0.53", 5353 },
    { "fd00::53", "[fd00::53]", 53 },
    { "FD00:0::53", "[fd00::53]", 53 },
    { "[fd00::53]", "[fd00::53]", 53 },
    { "[fd00::53]:5353", "[fd00::53]", 5353 },
  }
  for _, case in ipairs(good) do
    it(("%s is a cosocket's %s and %d"):format(unpack(case)), function()
      assert.same({ host = case[2], port = case[3] }, (nameserver.parse_nameserver(case[1])))
    end)
  end

  local bad = {
    { "", "not an IP address" }, { "dns.example.com", "not an IP address" }, { "10.0.0", "not an IP address" },
    { "[10.0.0.53]", "not an IP address" }, { "fe80::1%eth0", "not an IP address" }, { "[::1", "not an IP address" },
    { "10.0.0.53:", "port" }, { "10.0.0.53:0", "port" }, { "10.0.0.53:65536", "port" }, { "10.0.0.53:x", "port" },
    { "[::1]5353", "port" }, { "10.0.0.53 ", "port" },
  }
  for _, case in ipairs(bad) do
    it(("%q is none"):format(case[1]), function()
      local server, err = nameserver.parse_nameserver(case[1])
      assert.is_nil(server)
      assert.truthy(err:find(case[2], 1, true), err)
    end)
  end
end)
