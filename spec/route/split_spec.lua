local split = require("resty.switchboard.route.split")
local schema = require("resty.switchboard.schema.split")
local keys = require("resty.switchboard.schema.within")

local function make(text)
  return split.create("app.test", assert(schema.parse_split(text)), nil)
end

local function tally(one, turns, passed)
  local counts = {}
  for _ = 1, turns do
    local arm = split.take_turn(one, passed or {})
    counts[arm.name] = (counts[arm.name] or 0) + 1
  end
  return counts
end

describe("a split", function()
  it("gives each pool its share of every round, exactly", function()
    assert.same({ ["app.test#@a"] = 5, ["app.test#@b"] = 95 }, tally(make("@a=5,@b=95"), 100))
    assert.same({ ["app.test#@a"] = 1, ["app.test#@b"] = 2, ["app.test#@c"] = 3 }, tally(make("@c=3,@a=1,@b=2"), 6))
  end)

  it("spreads a small share evenly", function()
    local one, last, gaps = make("@a=10,@b=90"), nil, {}
    for i = 1, 1000 do
      if split.take_turn(one, {}).name == "app.test#@a" then
        if last then gaps[#gaps + 1] = i - last end
        last = i
      end
    end
    for _, gap in ipairs(gaps) do assert.equal(10, gap) end
  end)

  it("keeps to the shares with random ones", function()
    math.randomseed(31)
    for _ = 1, 100 do
      local words, shares, sum = {}, {}, 0
      for i = 1, math.random(1, 16) do
        shares[i] = math.random(0, 40) + (i == 1 and 1 or 0)
        sum = sum + shares[i]
        words[i] = ("@p%d=%d"):format(i, shares[i])
      end
      local counts = tally(make(table.concat(words, ",")), sum)
      for i, share in ipairs(shares) do assert.equal(share, counts["app.test#@p" .. i] or 0) end
    end
  end)

  it("leaves the share of a pool that is passed over to the others", function()
    local one = make("@a=50,@b=25,@c=25")
    local counts = tally(one, 100, { one.arms[1] })
    assert.is_nil(counts["app.test#@a"])
    assert.equal(50, counts["app.test#@b"])
    assert.is_nil(split.take_turn(one, { one.arms[1], one.arms[2], one.arms[3] }))
  end)
end)

describe("the option split", function()
  for text, problem in pairs({
    ["@a=1"] = false,
    ["@a=0,@b=1"] = false,
    [" @a = 1"] = "whole shares",
    ["@a=1, @b=2 "] = false,
    [""] = "whole shares",
    ["@a"] = "whole shares",
    ["a=1"] = "whole shares",
    ["@a=1.5"] = "whole shares",
    ["@a=-1"] = "whole shares",
    ["@a=1000001"] = "whole shares",
    ["@a=1,,@b=1"] = "whole shares",
    ["@a=1,@a=2"] = "stands twice",
    ["@a=0,@b=0"] = "share above 0",
    [("@x=1,"):rep(1) .. "@a=1,@b=1,@c=1,@d=1,@e=1,@f=1,@g=1,@h=1,@i=1,@j=1,@k=1,@l=1,@m=1,@n=1,@o=1,@p=1"] = "at most 16",
  }) do
    it(("%q is %s"):format(text, problem or "good"), function()
      local shares, err = schema.parse_split(text)
      if problem then
        assert.is_nil(shares)
        assert.truthy(err:find(problem, 1, true), err)
      else
        assert.truthy(shares, err)
      end
    end)
  end

  it("is judged without an error whatever it is", function()
    math.randomseed(5)
    local alphabet = "@=,0123456789ab. \n\0%"
    for _ = 1, 5000 do
      local bytes = {}
      for i = 1, math.random(0, 24) do
        local at = math.random(#alphabet)
        bytes[i] = alphabet:sub(at, at)
      end
      local shares, err = schema.parse_split(table.concat(bytes))
      assert.truthy(shares or err)
    end
  end)
end)

describe("a pool within a route", function()
  it("has a name from which both come out again", function()
    for _, route in ipairs({ "app.test", "*.app.test", "app.test/api/v2", "*" }) do
      local back, pool = keys.parts_of_arm(keys.arm_name(route, "@shop-v2"))
      assert.same({ route, "@shop-v2" }, { back, pool })
    end
    assert.is_nil((keys.parts_of_arm("app.test/api")))
  end)

  it("inherits from its route, and that from its host", function()
    assert.equal("app.test/api", keys.parent_of("app.test/api#@a"))
    assert.equal("app.test", keys.parent_of("app.test/api"))
    assert.is_nil(keys.parent_of("app.test"))
  end)
end)
