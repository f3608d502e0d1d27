local supposed = require("resty.switchboard.admin.supposed")

local function suppose(given)
  return supposed.suppose(
    given.host or "a.test", given.path or "/", given.headers or {}, given.client, given.scheme or "http", given.method or "GET"
  )
end

describe("a supposed request", function()
  it("has the path as nginx would have it", function()
    for path, expected in pairs({
      ["/"] = "/", ["/a"] = "/a", ["/a/"] = "/a/", ["/a//b"] = "/a/b", ["/a/./b"] = "/a/b", ["/a/../b"] = "/b", ["/a/.."] = "/",
      ["/a/b/.."] = "/a/", ["/a/."] = "/a/", ["//"] = "/", ["/a%2Fb"] = "/a/b", ["/a%20b"] = "/a b", ["/a+b"] = "/a+b",
      ["/a?b=/../.."] = "/a", ["/..a"] = "/..a", ["/%2e%2e"] = false, ["/.."] = false, ["/a/../.."] = false, ["a"] = false,
      [""] = false, ["?a"] = false, ["/a%00"] = false,
    }) do
      local request = suppose({ path = path })
      assert.equal(expected, request and request.path or false, path)
    end
  end)

  it("has nginx's variables of its headers, cookies and arguments", function()
    local vars = suppose({
      path = "/p?User=x&user=y&e=%20", client = "10.1.2.3", scheme = "https",
      headers = { "X-User-Id: 7", "x-user-id:8", "Cookie: Sid=abc; t=1", "cookie: sid=second", "Content-Length: 12" },
    }).vars
    assert.equal("7, 8", vars.http_x_user_id)
    assert.equal("abc", vars.cookie_Sid)
    assert.equal("abc", vars.cookie_sid)
    assert.equal("1", vars.cookie_t)
    assert.equal("x", vars.arg_user)
    assert.equal("%20", vars.arg_e)
    assert.equal("12", vars.content_length)
    assert.equal("10.1.2.3", vars.remote_addr)
    assert.equal("10.1.2.3", vars.switchboard_client)
    assert.equal("/p?User=x&user=y&e=%20", vars.request_uri)
    assert.equal("/p", vars.uri)
    assert.equal("https", vars.scheme)
    assert.is_nil(vars.http_accept)
    assert.is_nil(suppose({}).vars.remote_addr)
  end)

  it("has no header that no request can have", function()
    for _, header in ipairs({ "", "x", ":x", "a b: c", "a: b\r\nc: d", "a: b\0" }) do
      assert.is_nil(suppose({ headers = { header } }), header)
    end
  end)

  it("raises nothing, whatever it is asked for", function()
    math.randomseed(5)
    local function any()
      local bytes = {}
      for i = 1, math.random(0, 20) do bytes[i] = string.char(({ 47, 46, 37, 50, 63, 61, 59, 38, 58, 65, 0, 255 })[math.random(12)]) end
      return table.concat(bytes)
    end
    for _ = 1, 3000 do
      local request = suppose({ host = any(), path = "/" .. any(), headers = { any(), "Cookie: " .. any() } })
      if request then
        assert.equal("/", request.path:sub(1, 1))
        assert.is_nil((request.path .. "/"):find("/../", 1, true))
      end
    end
  end)
end)
