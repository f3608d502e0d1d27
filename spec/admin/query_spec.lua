local query = require("resty.switchboard.admin.query")

describe("a query", function()
  it("is taken apart, decoded, in order", function()
    assert.same({
      { name = "a", value = "1" },
      { name = "b c", value = "d=e&" },
      { name = "f", value = "" },
      { name = "a", value = "ü" },
    }, query.parse_query("a=1&b+c=d%3De%26&f&a=%C3%BC"))
    assert.same({}, query.parse_query(""))
    assert.same({}, query.parse_query("&&&"))
  end)

  it("is refused beyond its bounds", function()
    assert.is_nil(query.parse_query(("x"):rep(query.LONGEST + 1)))
    assert.is_nil(query.parse_query(("q=1&"):rep(101)))
    assert.equal(100, #query.parse_query(("q=1&"):rep(100)))
  end)

  it("has whole numbers within bounds or none", function()
    local pairs_of = query.parse_query
    assert.equal(7, query.whole(pairs_of("n=7"), "n", 1, 1, 10))
    assert.equal(1, query.whole(pairs_of("m=7"), "n", 1, 1, 10))
    for _, text in ipairs({ "0", "11", "-1", "1.5", "1e3", "0x5", "x", "", "99999999999999999999" }) do
      assert.is_nil(query.whole(pairs_of("n=" .. text), "n", 1, 1, 10), text)
    end
  end)

  it("tells of names that nobody knows", function()
    assert.is_nil(query.stranger(query.parse_query("a=1&meta.x=2"), { "a" }, "meta."))
    assert.equal("b", query.stranger(query.parse_query("a=1&b=2"), { "a" }, ""))
  end)

  it("raises nothing, whatever it is", function()
    math.randomseed(4)
    for _ = 1, 3000 do
      local bytes = {}
      for i = 1, math.random(0, 40) do bytes[i] = ("&=%+a0\0\255"):sub(math.random(1, 8)):sub(1, 1) end
      local found = query.parse_query(table.concat(bytes))
      query.whole(found, "a", 0, 0, 9)
      query.value_of(found, "0")
    end
  end)
end)
