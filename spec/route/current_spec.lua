local dict = require("resty.switchboard.route.dict")
local left_by_others = require("resty.switchboard.route.current").left_by_others
local trust = require("resty.switchboard.store.trust")

describe("what another worker's load has left", function()
  local dicts = dict.open()
  local epoch, now

  local function write_route(of)
    local stored = { loaded = now, fresh = 600, held = false, epoch = epoch, stamp = 0, page = 0, text = "\1" }
    for key, value in pairs(of) do stored[key] = value end
    assert(dict.write_route(dicts, "a.example", stored))
  end

  local function write_match(of)
    local match = { loaded = now, epoch = epoch, stamp = 0, pattern = "*.example" }
    for key, value in pairs(of) do match[key] = value end
    dict.write_match(dicts, "a.example", match, 60)
  end

  before_each(function()
    for _, each in pairs(dicts) do each:flush_all() end
    now = ngx.now()
    epoch = trust.begin_epoch(dicts.state)
  end)

  it("is a route, or whose it is", function()
    assert.is_nil(left_by_others(dicts, "a.example", now))
    write_match {}
    assert.same({ pattern = "*.example", missing = true }, left_by_others(dicts, "a.example", now))
    write_route {}
    local left = left_by_others(dicts, "a.example", now)
    assert.equal("\1", left.stored.text)
    assert.is_false(left.missing)
  end)

  for what, of in pairs { ["before that"] = { loaded = ngx.now() - 1 }, ["of what has changed since"] = { stamp = 7 } } do
    it("is nothing where it was read " .. what, function()
      write_match(of)
      assert.is_nil(left_by_others(dicts, "a.example", now))
      write_route(of)
      assert.is_nil(left_by_others(dicts, "a.example", now))
    end)
  end

  -- A route that was gone from Redis was written again under its earlier epoch until that was believed; the look at all names
  -- that was to end it took that for the answer.
  it("is nothing where it is of an earlier epoch, though it was written just now", function()
    write_match { epoch = epoch - 1 }
    assert.is_nil(left_by_others(dicts, "a.example", now))
    write_route { epoch = epoch - 1 }
    assert.is_nil(left_by_others(dicts, "a.example", now))
  end)
end)
