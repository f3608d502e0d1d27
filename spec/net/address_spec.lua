local address = require("resty.switchboard.net.address")

local function ranges(...)
  local list = {}
  for i, text in ipairs({ ... }) do
    list[i] = assert(address.parse_cidr(text))
  end
  return list
end

describe("an IP address is read strictly and written canonically", function()
  local good = {
    { "10.0.0.5", "10.0.0.5", 4 },
    { "0.0.0.0", "0.0.0.0", 4 },
    { "255.255.255.255", "255.255.255.255", 4 },
    { "::", "::", 6 },
    { "::1", "::1", 6 },
    { "1::", "1::", 6 },
    { "2001:DB8::1", "2001:db8::1", 6 },
    { "2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1", 6 },
    { "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1", 6 },
    { "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", 6 },
    { "2001:0:0:1:0:0:0:1", "2001:0:0:1::1", 6 },
    { "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", 6 },
    { "::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8", 6 },
    { "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0", 6 },
    { "1:0:0:4:5:6:0:0", "1::4:5:6:0:0", 6 },
    { "::ffff:10.0.0.1", "::ffff:10.0.0.1", 6 },
    { "::FFFF:a00:1", "::ffff:10.0.0.1", 6 },
    { "64:ff9b::192.0.2.33", "64:ff9b::c000:221", 6 },
    { "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304", 6 },
  }
  for _, case in ipairs(good) do
    it(("%s is %s"):format(case[1], case[2]), function()
      assert.same({ text = case[2], family = case[3] }, address.parse_ip(case[1]))
      assert.same({ text = case[2], family = case[3] }, address.parse_ip(case[2]))
    end)
  end

  local bad = {
    "", ".", ":", ":::", "1", "10.0.0", "10.0.0.0.0", "10.0.0.256", "010.0.0.1", "10.0.0.01", "0x0a.0.0.1", "10.0.0.-1",
    " 10.0.0.1", "10.0.0.1 ", "10.0.0.1\n", "10..0.1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "::12345", "::g",
    "[::1]", "::1%eth0", "fe80::1%1", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "1:2:3:4:5:6:7:8::", "::1.2.3", "1.2.3.4::",
    "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4", "::ffff:010.0.0.1", "localhost", "10.0.0.0/8", ("1"):rep(50), ("0:"):rep(40),
  }
  for _, case in ipairs(bad) do
    it(("%q is none"):format(case:sub(1, 40)), function()
      assert.is_nil(address.parse_ip(case))
    end)
  end

  it("agrees with the system's own reading, whatever comes", function()
    local ffi = require("ffi")
    pcall(ffi.cdef, [[
      int inet_pton(int family, const char *text, void *binary);
      const char *inet_ntop(int family, const void *binary, char *text, unsigned int size);
    ]])
    local binary, shown = ffi.new("unsigned char[16]"), ffi.new("char[64]")
    math.randomseed(20261123)
    local pieces = { "0", "1", "a", "F", "10", "255", "256", "ffff", ":", ":", ":", "::", ".", ".", "%", "[", "g", " " }
    local read = 0
    for _ = 1, 200000 do
      local words = {}
      for i = 1, math.random(1, 15) do
        words[i] = pieces[math.random(#pieces)]
      end
      local text = table.concat(words)
      local ours = address.parse_ip(text)
      local family = text:find(":", 1, true) and 10 or 2
      local theirs = ffi.C.inet_pton(family, text, binary) == 1
      assert.equal(theirs, ours ~= nil, text)
      if ours then
        read = read + 1
        local canonical = ffi.string(ffi.C.inet_ntop(family, binary, shown, 64))
        -- The system also writes the long dead IPv4-compatible addresses with dots.
        if not canonical:find("^::%d+%.") then
          assert.equal(canonical, ours.text, text)
        end
      end
    end
    assert.is_true(read > 500)
  end)
end)

describe("a range of addresses", function()
  it("contains what agrees in its leading bits", function()
    local cases = {
      { "10.0.0.0/8", "10.255.1.2", true },
      { "10.0.0.0/8", "11.0.0.0", false },
      { "10.1.2.3", "10.1.2.3", true },
      { "10.1.2.3", "10.1.2.4", false },
      { "10.1.2.3/24", "10.1.2.200", true },
      { "172.16.0.0/12", "172.31.255.255", true },
      { "172.16.0.0/12", "172.32.0.0", false },
      { "10.0.0.4/31", "10.0.0.5", true },
      { "10.0.0.4/31", "10.0.0.6", false },
      { "0.0.0.0/0", "203.0.113.9", true },
      { "0.0.0.0/0", "::1", false },
      { "::1", "::1", true },
      { "fd00::/8", "fdff::1", true },
      { "fd00::/8", "fe00::1", false },
      { "2001:db8::/33", "2001:db8:7fff::", true },
      { "2001:db8::/33", "2001:db8:8000::", false },
      { "::/0", "2001:db8::1", true },
      { "::/0", "10.0.0.1", false },
    }
    for _, case in ipairs(cases) do
      assert.equal(case[3], address.contains(ranges(case[1]), case[2]), case[1] .. " " .. case[2])
    end
  end)

  it("takes both spellings of a mapped address for the same", function()
    assert.is_true(address.contains(ranges("10.0.0.0/8"), "::ffff:10.0.0.1"))
    assert.is_true(address.contains(ranges("::ffff:10.0.0.0/104"), "10.0.0.1"))
    assert.is_true(address.contains(ranges("::ffff:10.0.0.1"), "::ffff:a00:1"))
    assert.is_true(address.contains(ranges("::/0"), "::ffff:10.0.0.1"))
    assert.is_false(address.contains(ranges("10.0.0.0/8"), "::ffff:11.0.0.1"))
    assert.is_false(address.contains(ranges("10.0.0.0/8"), "::10.0.0.1"))
  end)

  it("looks through the whole list, and finds nothing in an empty one", function()
    assert.is_true(address.contains(ranges("10.0.0.0/8", "::1", "192.0.2.7"), "192.0.2.7"))
    assert.is_false(address.contains({}, "10.0.0.1"))
  end)

  it("contains nothing that is no address", function()
    for _, text in ipairs({ "", "unix:", "10.0.0.1:80", "[::1]", "app.example.com" }) do
      assert.is_false(address.contains(ranges("0.0.0.0/0", "::/0"), text))
    end
  end)

  it("is refused with what is wrong", function()
    local cases = {
      { "10.0.0.0/33", "the prefix length must be 0 to 32" },
      { "::/129", "the prefix length must be 0 to 128" },
      { "10.0.0.0/", "the prefix length must be 0 to 32" },
      { "10.0.0.0/-1", "the prefix length must be 0 to 32" },
      { "10.0.0.0/8/8", "the prefix length must be 0 to 32" },
      { "10.0.0.0/0x8", "the prefix length must be 0 to 32" },
      { "10.0.0/8", "not an IP address or range" },
      { "", "not an IP address or range" },
      { "localhost", "not an IP address or range" },
    }
    for _, case in ipairs(cases) do
      local range, err = address.parse_cidr(case[1])
      assert.is_nil(range)
      assert.equal(case[2], err)
    end
  end)

  it("contains exactly what arithmetic says", function()
    math.randomseed(7)
    for _ = 1, 5000 do
      local a, b, bits = math.random(0, 2 ^ 32 - 1), math.random(0, 2 ^ 32 - 1), math.random(0, 32)
      if math.random() < 0.5 then
        b = a - a % 2 ^ (32 - bits) + math.random(0, 2 ^ (32 - bits) - 1)
      end
      local function dotted(n)
        return ("%d.%d.%d.%d"):format(n / 2 ^ 24 % 256, n / 2 ^ 16 % 256, n / 2 ^ 8 % 256, n % 256)
      end
      local expected = math.floor(a / 2 ^ (32 - bits)) == math.floor(b / 2 ^ (32 - bits))
      assert.equal(expected, address.contains(ranges(dotted(a) .. "/" .. bits), dotted(b)))
    end
  end)

  it("survives garbage", function()
    math.randomseed(11)
    for _ = 1, 20000 do
      local bytes = {}
      for i = 1, math.random(0, 24) do
        bytes[i] = string.char(math.random(0, 255))
      end
      local text = table.concat(bytes)
      local range, err = address.parse_cidr(text)
      assert.is_true((range == nil) ~= (err == nil))
      address.contains(ranges("::/0"), text)
      address.is_special(text)
    end
  end)
end)

describe("an address that no instance may have", function()
  local cases = {
    { "0.0.0.0", "unspecified" },
    { "0.1.2.3", "unspecified" },
    { "::", "unspecified" },
    { "::ffff:0.0.0.0", "unspecified" },
    { "224.0.0.1", "multicast" },
    { "239.255.255.255", "multicast" },
    { "ff02::1", "multicast" },
    { "::ffff:224.0.0.1", "multicast" },
    { "169.254.169.254", "link-local" },
    { "fe80::1", "link-local" },
    { "febf::1", "link-local" },
    { "::ffff:169.254.169.254", "link-local" },
    { "255.255.255.255", "broadcast" },
  }
  for _, case in ipairs(cases) do
    it(("%s is %s"):format(case[1], case[2]), function()
      assert.equal(case[2], address.is_special(case[1]))
    end)
  end

  it("is none of the ordinary ones, nor what is no address", function()
    for _, text in ipairs({ "127.0.0.1", "10.0.0.1", "169.253.0.1", "223.255.255.255", "240.0.0.1", "::1", "fec0::1", "fd00::1", "2001:db8::1", "::ffff:10.0.0.1", "", "localhost" }) do
      assert.is_nil(address.is_special(text))
    end
  end)
end)
