local options = require("resty.switchboard.schema.options")

local function set(name, value)
  local found = {}
  local reason = options.set_option(found, name, value)
  return found, reason
end

describe("options about which instance is chosen", function()
  local good = {
    { "balance", "round_robin", { balance = "round_robin" } },
    { "balance", "least_conn", { balance = "least_conn" } },
    { "balance", "ewma", { balance = "ewma" } },
    { "balance", "random", { balance = "random" } },
    { "balance", "hash:ip", { balance = "hash:ip" } },
    { "balance", "hash:uri", { balance = "hash:uri" } },
    { "balance", "hash:header:X-User_1", { balance = "hash:header:X-User_1" } },
    { "balance", "hash:cookie:session-id", { balance = "hash:cookie:session-id" } },
    { "balance", "hash:query:q", { balance = "hash:query:q" } },
    { "hash_bound", "0", { hash_bound = 0 } },
    { "hash_bound", "1.25", { hash_bound = 1.25 } },
    { "sticky", "cookie", { sticky = "switchboard" } },
    { "sticky", "cookie:JSESSION-x_1", { sticky = "JSESSION-x_1" } },
    { "sticky_max_age", "60m", { sticky_max_age = 3600 } },
    { "slow_start", "30s", { slow_start = 30 } },
    { "slow_start", "0", { slow_start = 0 } },
    { "prefer_zone", "off", { prefer_zone = false } },
  }
  for _, case in ipairs(good) do
    it(("take %s %s"):format(case[1], case[2]), function()
      local found, reason = set(case[1], case[2])
      assert.is_nil(reason)
      assert.same(case[3], found)
    end)
  end

  local bad = {
    { "balance", "" }, { "balance", "fastest" }, { "balance", "ROUND_ROBIN" }, { "balance", "hash" }, { "balance", "hash:" },
    { "balance", "hash:header" }, { "balance", "hash:header:" }, { "balance", "hash:header:a b" }, { "balance", "hash:header:a\nb" },
    { "balance", "hash:ip:1" }, { "balance", "hash:port" }, { "balance", "hash:header:" .. ("x"):rep(65) },
    { "hash_bound", "1" }, { "hash_bound", "-1" }, { "hash_bound", "1e9" }, { "hash_bound", "101" }, { "hash_bound", "x" },
    { "sticky", "" }, { "sticky", "on" }, { "sticky", "cookie:" }, { "sticky", "cookie:a=b" }, { "sticky", "cookie:a;b" },
    { "sticky", "cookie:" .. ("x"):rep(65) }, { "sticky_max_age", "-1" }, { "sticky_max_age", "1000000000" }, { "slow_start", "1h" },
    { "slow_start", "100000" }, { "prefer_zone", "maybe" },
  }
  for _, case in ipairs(bad) do
    it(("leave out %s %q, say why, and keep the last good value"):format(case[1], case[2]:sub(1, 30)), function()
      local found, reason = set(case[1], case[2])
      assert.same({}, found)
      assert.is_truthy(reason:find(case[1] .. " must be", 1, true), reason)
      options.keep_last_good(found, case[1], { [case[1]] = "last" })
      assert.same({ [case[1]] = "last" }, found)
    end)
  end
end)

describe("the grammar of balance", function()
  local parse = require("resty.switchboard.config.balance").parse_balance

  it("names nginx's variable for the key of a hash", function()
    assert.equal("http_x_user_id", parse("hash:header:X-User-Id").variable)
    assert.equal("cookie_a-b", parse("hash:cookie:A-b").variable)
    assert.equal("arg_q", parse("hash:query:Q").variable)
    assert.equal("request_uri", parse("hash:uri").variable)
    assert.is_truthy(parse("hash:ip").variable)
  end)

  it("refuses what is no text", function()
    for _, value in ipairs { 1, true, {} } do
      local balance, err = parse(value)
      assert.is_nil(balance)
      assert.is_string(err)
    end
  end)

  it("never raises, whatever bytes come", function()
    math.randomseed(8)
    local pieces = { "hash", ":", "header", "cookie", "query", "ip", "uri", "x", "-", "\0", "\255", " ", "ewma", "%" }
    for _ = 1, 20000 do
      local text = {}
      for i = 1, math.random(0, 6) do text[i] = pieces[math.random(#pieces)] end
      local balance, err = parse(table.concat(text))
      assert.is_true((balance == nil) == (err ~= nil))
    end
  end)
end)
