local events = require("resty.switchboard.observe.events")
local dict = ngx.shared.switchboard_metrics

describe("the ring of events", function()
  before_each(function()
    dict:flush_all()
    events.open_events(dict)
  end)

  it("is empty at first", function()
    assert.equal(0, events.last_event())
    assert.same({}, events.latest_events(0, 1000))
  end)

  it("keeps the last thousand, newest first, with time, kind, subject and detail", function()
    local began = ngx.now()
    for i = 1, 2345 do events.note_event("route_changed", "r" .. i .. ".example", i .. " instances") end
    local found = events.latest_events(0, 5000)
    assert.equal(1000, #found)
    for i, event in ipairs(found) do
      local number = 2345 - i + 1
      assert.equal(number, event.number)
      assert.equal("route_changed", event.kind)
      assert.equal("r" .. number .. ".example", event.subject)
      assert.equal(number .. " instances", event.detail)
      assert.is_true(event.time >= began - 0.001 and event.time <= ngx.now() + 0.001)
    end
  end)

  it("tells only what is newer than a number, and no more than asked for", function()
    for i = 1, 10 do events.note_event("store_lost", "", "") end
    assert.equal(3, #events.latest_events(7, 1000))
    assert.equal(0, #events.latest_events(10, 1000))
    assert.equal(0, #events.latest_events(4711, 1000))
    local two = events.latest_events(0, 2)
    assert.same({ 10, 9 }, { two[1].number, two[2].number })
  end)

  it("is not confused by bytes in a name, nor by a place that was evicted", function()
    events.note_event("route_added", "a\tb\nc\"d", ("x"):rep(10000))
    events.note_event("route_added", "b", "")
    events.note_event("route_added", "c", "")
    dict:delete("events:2")
    local found = events.latest_events(0, 10)
    assert.equal(2, #found)
    assert.equal("a?b?c?d", found[2].subject)
    assert.is_true(#found[2].detail < 200)
  end)
end)
