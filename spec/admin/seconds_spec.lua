local seconds = require("resty.switchboard.admin.seconds")
local json = require("resty.switchboard.admin.json")

describe("seconds", function()
  it("are told to the millisecond, the nearest one", function()
    for told, reckoned in pairs({
      ["0.556"] = 0.55599999427795, ["0"] = 0.0004, ["0.001"] = 0.0005, ["12"] = 12, ["-0.25"] = -0.25, ["1764000000.123"] = 1764000000.123,
    }) do
      assert.equal(told, json.write(seconds.seconds(reckoned)))
    end
  end)

  it("since a moment are none while that is to come", function()
    ngx.update_time()
    assert.equal(0, seconds.seconds_since(ngx.now() + 5))
    for past = 0, 9999 do
      local told = json.write(seconds.seconds_since(ngx.now() - past / 1000))
      assert.equal(json.write(past / 1000), told)
    end
  end)
end)
