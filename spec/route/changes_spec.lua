local changes = require("resty.switchboard.route.changes")
local state = ngx.shared.switchboard_state

describe("the ring of changed names", function()
  before_each(function() state:flush_all() end)

  it("tells each name that changed since a worker looked, in order", function()
    local seen = changes.current(state)
    changes.publish(state, "a.example")
    changes.publish(state, "b.example")
    local got = changes.since(state, seen, changes.current(state), true)
    assert.same({ "a.example", "b.example" }, got.names)
    assert.is_false(got.everything)
    assert.equal(changes.current(state), got.generation)
  end)

  it("says that everything may have changed to a worker that fell off", function()
    for i = 1, 1025 do changes.publish(state, "n" .. i) end
    assert.is_true(changes.since(state, 0, 1025, true).everything)
    assert.is_false(changes.since(state, 1, 1025, true).everything)
  end)

  it("waits before a step whose slot is not written yet, and gives it up when told to", function()
    changes.publish(state, "a.example")
    state:incr("generation", 1)
    local got = changes.since(state, 0, 2, true)
    assert.same({ "a.example" }, got.names)
    assert.equal(1, got.generation)
    assert.is_true(changes.since(state, 1, 2, false).everything)
  end)

  -- 2^31 changes are 24 days at a thousand a second.
  it("goes on where a slot has no room for the number of its step", function()
    state:set("generation", 2 ^ 31 - 2)
    for _, name in ipairs { "a", "b", "c" } do changes.publish(state, name) end
    local got = changes.since(state, 2 ^ 31 - 2, 2 ^ 31 + 1, true)
    assert.same({ { "a", "b", "c" }, 2 ^ 31 + 1, false }, { got.names, got.generation, got.everything })
  end)

  it("distrusts everything when the counter itself was lost", function()
    assert.is_true(changes.since(state, 5, 0, true).everything)
  end)
end)
