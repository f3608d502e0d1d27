local plain = require("resty.switchboard.schema.plain")
local member = require("resty.switchboard.schema.member")

describe("a plain instance", function()
  it("comes back from its six bytes", function()
    math.randomseed(6)
    for _ = 1, 5000 do
      local host = ("%d.%d.%d.%d"):format(math.random(0, 255), math.random(0, 255), math.random(0, 255), math.random(0, 255))
      local port = math.random(65535)
      local bytes = plain.pack(("%s:%d"):format(host, port))
      assert.equal(plain.SIZE, #bytes)
      assert.same({ host, port }, { plain.unpack("x" .. bytes, 2) })
    end
    assert.same({ "255.255.255.255", 65535 }, { plain.unpack(plain.pack("255.255.255.255:65535"), 1) })
    assert.same({ "0.0.0.0", 1 }, { plain.unpack(plain.pack("0.0.0.0:1"), 1) })
  end)

  it("is nothing that could be written in another way, or that has more to it", function()
    for _, text in ipairs {
      "", ":", "10.0.0.5", "10.0.0.5:", "10.0.0.5:0", "10.0.0.5:65536", "10.0.0.5:080", "10.0.0.05:80", "010.0.0.5:80", "10.0.0:80", "10.0.0.0.5:80",
      "256.0.0.1:80", "10..0.5:80", ".10.0.5:80", "10.0.0.5:80:80", "10.0.0.5:8a", " 10.0.0.5:80", "10.0.0.5:80 ", "-", "[::1]:80", "a.example:80",
      "http://10.0.0.5:80", "https://10.0.0.5:80", "10.0.0.5:80?weight=3", "10.0.0.5:80?", "10:0.0.5:80", "10.0.0.5.80", "99999999999.0.0.1:8", "10.0.0.5:99999999",
    } do
      assert.is_nil(plain.pack(text), text)
    end
  end)

  it("is what the grammar of members makes of it", function()
    math.randomseed(8)
    local parts = { "0", "1", "25", "255", "256", "01", "8080", "", "a", "-1" }
    local marks = { ".", ".", ".", ".", ".", ":", "" }
    local packed = 0
    for _ = 1, 50000 do
      local text = ""
      for i = 1, 4 do text = text .. parts[math.random(i < 4 and 4 or #parts)] .. (math.random(9) == 1 and marks[math.random(#marks)] or i < 4 and "." or ":") end
      text = text .. parts[math.random(#parts)]
      local bytes = plain.pack(text)
      if bytes then
        packed = packed + 1
        local host, port = plain.unpack(bytes, 1)
        assert.same({ tls = false, host = host, port = port, weight = 1, drain = false }, (member.parse_member(text, error)))
        assert.equal(text, host .. ":" .. port)
      end
    end
    assert.is_true(packed > 1000, packed)
  end)
end)
