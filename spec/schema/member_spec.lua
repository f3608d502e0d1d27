local member = require("resty.switchboard.schema.member")

local function parse(text)
  local complaints = {}
  local instance, err = member.parse_member(text, function(reason) complaints[#complaints + 1] = reason end)
  return instance, err, complaints
end

describe("a member", function()
  local good = {
    ["10.0.0.5:8080"] = { tls = false, host = "10.0.0.5", port = 8080, weight = 1, drain = false },
    ["http://10.0.0.5:1"] = { tls = false, host = "10.0.0.5", port = 1, weight = 1, drain = false },
    ["HTTPS://App.Example:443"] = { tls = true, host = "app.example", port = 443, weight = 1, drain = false },
    ["[2001:DB8::1]:65535"] = { tls = false, host = "2001:db8::1", port = 65535, weight = 1, drain = false },
    ["web_1:80?weight=3&zone=eu-1a&id=web.1&drain=1"] = {
      tls = false, host = "web_1", port = 80, weight = 3, drain = true, zone = "eu-1a", id = "web.1",
    },
    ["10.0.0.5:80?backup=1"] = { tls = false, host = "10.0.0.5", port = 80, weight = 1, drain = false, backup = true },
    ["10.0.0.5:80?backup=0"] = { tls = false, host = "10.0.0.5", port = 80, weight = 1, drain = false },
    ["10.0.0.5:80?weight=0"] = { tls = false, host = "10.0.0.5", port = 80, weight = 0, drain = false },
    ["10.0.0.5:80?"] = { tls = false, host = "10.0.0.5", port = 80, weight = 1, drain = false },
  }
  for text, instance in pairs(good) do
    it(("%q is an instance"):format(text), function()
      local got, err, complaints = parse(text)
      assert.is_nil(err)
      assert.same(instance, got)
      assert.same({}, complaints)
    end)
  end

  local bad = {
    "", ":", "10.0.0.5", "10.0.0.5:", ":80", "10.0.0.5:0", "10.0.0.5:65536", "10.0.0.5:8o", "10.0.0.5:-1", "10.0.0.5:000080",
    "2001:db8::1:80", "[2001:db8::1]", "[10.0.0.5]:80", "10.0.0.300:80", "1.2.3:80", "ftp://10.0.0.5:21", "a b:80",
    "a/b:80", "a..b:80", ".a:80", "user@host:80", "a\nb:80", ("a"):rep(2000) .. ":80", "http://", "http://10.0.0.5:80/path",
  }
  for _, text in ipairs(bad) do
    it(("%q is none, and says why"):format(text:sub(1, 30)), function()
      local got, err = parse(text)
      assert.is_nil(got)
      assert.is_string(err)
    end)
  end

  for _, attributes in ipairs { "weight=-1", "weight=65536", "weight=1e9", "weight=1000000000", "backup=yes", "weight=1.5", "weight=", "drain=yes", "zone=a b", "id=", "color=red", "weight" } do
    it(("keeps its good attributes beside %q"):format(attributes), function()
      local got, err, complaints = parse("10.0.0.5:80?" .. attributes .. "&zone=b")
      assert.is_nil(err)
      assert.equal(1, got.weight)
      assert.equal("b", got.zone)
      assert.equal(1, #complaints)
    end)
  end

  it("never raises, whatever bytes come", function()
    math.randomseed(3)
    local pieces = { "http://", "https://", "10.0.0.5", "[::1]", "a.example", ":80", ":", "?", "weight=3", "&", "=", "drain=1", "\0", "\255", " ", "%", "[", "]" }
    for _ = 1, 20000 do
      local text = {}
      for i = 1, math.random(0, 8) do text[i] = pieces[math.random(#pieces)] end
      local got, err = parse(table.concat(text))
      assert.is_true((got == nil) == (err ~= nil))
    end
  end)
end)
