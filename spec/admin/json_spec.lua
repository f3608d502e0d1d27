local json = require("resty.switchboard.admin.json")
local cjson = require("cjson.safe")

describe("what the admin server writes", function()
  it("is JSON: empty lists are lists, empty objects objects, names in order", function()
    assert.equal(
      '{"a":[],"b":{},"c":[1,[2],{"d":true}],"e":null,"f":"x"}',
      json.write({ f = "x", e = ngx.null, c = json.as_list({ 1, json.as_list({ 2 }), { d = true } }), b = {}, a = json.as_list({}) })
    )
  end)

  it("keeps milliseconds of unix seconds, and writes no number that JSON has not", function()
    assert.equal("1764000000.123", json.write(1764000000.123))
    assert.equal("1764000000", json.write(1764000000))
    for _, number in ipairs({ math.huge, -math.huge, 0 / 0 }) do assert.equal("null", json.write(number)) end
  end)

  it("escapes what ends a text or opens a tag", function()
    assert.equal([["\u003cscript>\"\\\n\r\t\u0000\u001b\u007f"]], json.write("<script>\"\\\n\r\t\0\27\127"))
  end)

  it("replaces bytes that are no UTF-8, and leaves those that are", function()
    local good = "é €𝄞 ascii"
    assert.equal('"' .. good .. '"', json.write(good))
    local wrong = {
      "\255", "\128", "\194", "\192\128", "\224\128\128", "\237\160\128", "\240\128\128\128", "\244\144\128\128", "\245\128\128\128",
    }
    for _, bytes in ipairs(wrong) do
      local written = json.write("a" .. bytes .. "b")
      assert.truthy(written:find("^\"a[\239\191\189]+b\"$"), (written:gsub(".", function(c) return ("%02x "):format(c:byte()) end)))
    end
  end)

  it("gives every text back that is UTF-8, and something that can be read of all others", function()
    math.randomseed(20261123)
    for _ = 1, 3000 do
      local bytes = {}
      for i = 1, math.random(0, 20) do bytes[i] = string.char(math.random(0, 255)) end
      local text = table.concat(bytes)
      local read = cjson.decode("[" .. json.write(text) .. "]")
      assert.truthy(read)
      if not text:find("[\128-\255]") then assert.equal(text, read[1]) end
    end
  end)
end)
