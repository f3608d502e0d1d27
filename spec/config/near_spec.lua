local nearest = require("resty.switchboard.config.near").nearest

describe("a mistyped name", function()
  local names = { "ttl", "tries", "redis_url", "read_timeout", "send_timeout", "negative_ttl" }

  it("means the one that is the fewest edits away", function()
    assert.equal("ttl", nearest("tll", names))
    assert.equal("redis_url", nearest("redis_uri", names))
    assert.equal("redis_url", nearest("redisurl", names))
    assert.equal("read_timeout", nearest("read_timout", names))
    assert.equal("send_timeout", nearest("sendtimeout", names))
  end)

  it("means none when none is near", function()
    assert.is_nil(nearest("coffee_machine", names))
    assert.is_nil(nearest("", names))
    assert.is_nil(nearest("abc", names))
    assert.is_nil(nearest("ttl", {}))
  end)
end)
