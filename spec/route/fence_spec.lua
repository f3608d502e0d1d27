local fence = require("resty.switchboard.route.fence")
local state = ngx.shared.switchboard_state

describe("the fence", function()
  before_each(function() state:flush_all() end)

  it("tells a name that has changed from one that has not", function()
    local before = fence.stamp(state, "a.example")
    fence.bump(state, "a.example")
    assert.not_equal(before, fence.stamp(state, "a.example"))
    assert.equal(0, fence.stamp(state, "b.example"))
  end)

  it("tells a route whose pool has changed", function()
    local before = fence.route_stamp(state, "a.example", "@pool")
    fence.bump(state, "@pool")
    assert.not_equal(before, fence.route_stamp(state, "a.example", "@pool"))
    assert.equal(0, fence.route_stamp(state, "a.example", nil))
  end)

  it("tells a host one of whose patterns came or went, and not from a change of their instances", function()
    local candidates = { "*.b.example", "*.example", "*" }
    local before = fence.match_stamp(state, "a.b.example", candidates)
    fence.bump(state, "*.example")
    assert.equal(before, fence.match_stamp(state, "a.b.example", candidates))
    fence.bump_pattern(state, "*.example")
    assert.equal(before + 1, fence.match_stamp(state, "a.b.example", candidates))
    fence.bump(state, "a.b.example")
    assert.equal(before + 2, fence.match_stamp(state, "a.b.example", candidates))
  end)
end)
