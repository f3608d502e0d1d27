local grammar = require("resty.switchboard.config.grammar")

local function check(parse, good, bad, must)
  for _, case in ipairs(good) do
    local value, err = parse(case[1])
    assert.is_nil(err)
    assert.equal(case[2], value)
  end
  for _, case in ipairs(bad) do
    local value, err = parse(case)
    assert.is_nil(value, tostring(case))
    assert.truthy(err:find(must, 1, true), err)
  end
end

local nan, infinite = 0 / 0, 1 / 0

describe("the grammar", function()
  it("of times: decimal seconds, ms, s, m", function()
    check(grammar.parse_time, {
      { "10", 10 }, { "0", 0 }, { "0.5", 0.5 }, { "250ms", 0.25 }, { "2s", 2 }, { "1.5s", 1.5 }, { "1m", 60 }, { "0.5m", 30 },
      { "5.", 5 }, { 10, 10 }, { 0.25, 0.25 }, { 0, 0 },
    }, {
      "", " ", "ten", "-1", "+1", "1h", "1S", "1 s", "1e3", "0x10", ".5", "1,5", "nan", "inf", "1..5", "s", "ms", "1s1s", "1s\n",
      -1, nan, infinite, -infinite, true, {}, ("9"):rep(400), print,
    }, "must be a time such as 10, 250ms, 2s or 1m")
    assert.is_nil((grammar.parse_time(nil)))
  end)

  it("of sizes: bytes, k, m, g", function()
    check(grammar.parse_size, {
      { "512", 512 }, { "64k", 65536 }, { "10m", 10485760 }, { "1g", 1073741824 }, { "1.5k", 1536 }, { 4096, 4096 }, { "0", 0 },
    }, {
      "", "1.5", "1kb", "1K", "-1", "ten", "0x10", 1.5, -1, nan, infinite, ("9"):rep(30), true, {},
    }, "must be a size such as 512, 64k, 10m or 1g")
  end)

  it("of counts: whole numbers", function()
    check(grammar.parse_count, {
      { "0", 0 }, { "7", 7 }, { 7, 7 }, { "1000000", 1000000 }, { 1e6, 1e6 },
    }, {
      "", "-1", "1.5", "1e3", "0x10", "one", " 1", 1.5, -1, nan, infinite, ("9"):rep(30), true, {},
    }, "must be a whole number")
  end)

  it("of booleans: on, off, 1, 0, true, false", function()
    check(grammar.parse_boolean, {
      { "on", true }, { "off", false }, { "1", true }, { "0", false }, { "true", true }, { "false", false },
      { true, true }, { false, false }, { 1, true }, { 0, false },
    }, { "", "yes", "ON", "2", 2, {}, " on" }, "must be on or off")
  end)

  it("of lists: comma-separated, or an array", function()
    local good = {
      { "", {} }, { "  ", {} }, { "a", { "a" } }, { "a,b", { "a", "b" } }, { " a , b c ", { "a", "b c" } },
      { {}, {} }, { { "a", " b " }, { "a", "b" } },
    }
    for _, case in ipairs(good) do
      assert.same(case[2], (grammar.parse_list(case[1])))
    end
    for _, case in ipairs({ ",", "a,", ",a", "a,,b", "a, ,b", 7, true, { 7 }, { "" }, { "a", [3] = "c" }, { a = "b" }, { "a", x = 1 } }) do
      local words, err = grammar.parse_list(case)
      assert.is_nil(words)
      assert.truthy(err:find("must be a comma-separated list", 1, true), err)
    end
  end)

  it("of texts: printable, without blanks", function()
    check(grammar.parse_text, { { "sb:", "sb:" }, { "{kind}", "{kind}" } }, { "", " ", "a b", "a\n", "\255", 7, true, {} }, "must be a text")
  end)

  it("reads back every time it can write", function()
    math.randomseed(20261123)
    for _ = 1, 5000 do
      local n = math.random(0, 1000000)
      assert.equal(n, (grammar.parse_time(n .. "s")))
      assert.equal(n * 60, (grammar.parse_time(n .. "m")))
      assert.is_true(math.abs(n / 1000 - grammar.parse_time(n .. "ms")) < 1e-9)
      assert.equal(n / 8, (grammar.parse_time(("%.3f"):format(n / 8))))
      assert.equal(n * 1024, (grammar.parse_size(n .. "k")))
      assert.equal(n, (grammar.parse_count(tostring(n))))
    end
  end)

  it("survives garbage", function()
    math.randomseed(5)
    local pieces = { "0", "1", "9", ".", "m", "s", "ms", "k", "-", ",", " ", "\0", "\255", "%", "[", "on", "{" }
    local parsers = { "parse_time", "parse_size", "parse_count", "parse_boolean", "parse_list", "parse_text" }
    for _ = 1, 10000 do
      local words = {}
      for i = 1, math.random(0, 8) do
        words[i] = pieces[math.random(#pieces)]
      end
      for _, parser in ipairs(parsers) do
        local value, err = grammar[parser](table.concat(words))
        assert.is_true((value == nil) ~= (err == nil))
        assert.is_true(type(value) ~= "number" or (value >= 0 and value < 1 / 0))
      end
    end
  end)
end)
