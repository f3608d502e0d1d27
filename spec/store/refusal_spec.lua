local refusal = require("resty.switchboard.store.refusal")

describe("what Redis says when it refuses", function()
  local remedies = {
    { "NOAUTH Authentication required.", "put the password into redis_url" },
    { "WRONGPASS invalid username-password pair or user is disabled.", "check the user and the password" },
    { "NOPERM User router has no permissions to run the 'smembers' command", "grant the user" },
    { "LOADING Redis is loading the dataset in memory", "this passes" },
    { "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "lost its master" },
    { "MOVED 3999 10.0.0.1:6381", "Redis Cluster" },
    { "CROSSSLOT Keys in request don't hash to the same slot", "set key_format=sb:{kind}:{{name}}" },
    { "DENIED Redis is running in protected mode", "give this Redis a password" },
    { "ERR DB index is out of range", "check the database" },
    { "ERR max number of clients reached", "raise maxclients" },
  }
  for _, case in ipairs(remedies) do
    it(("%s comes with its remedy"):format(case[1]:match("^%S+ ?%S*")), function()
      local said = refusal.explain(case[1])
      assert.equal(case[1] .. " (", said:sub(1, #case[1] + 2))
      assert.truthy(said:find(case[2], 1, true), said)
    end)
  end

  it("stays as it is where there is no remedy", function()
    assert.equal("ERR syntax error", refusal.explain("ERR syntax error"))
  end)

  it("repeats no secret", function()
    assert.equal("ERR unknown command 'AUTH', with args beginning with: '***' ", refusal.redact("ERR unknown command 'AUTH', with args beginning with: 'hunter2' ", "hunter2"))
    assert.equal("*** and ***", refusal.redact("%d+ and %d+", "%d+"))
    assert.equal("******", refusal.redact("aa", "a"))
    assert.equal("nothing", refusal.redact("nothing", "hunter2"))
  end)
end)
