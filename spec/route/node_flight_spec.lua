local node_flight = require("resty.switchboard.route.node_flight")

local state = ngx.shared.switchboard_state

--- One that tells what it was asked for, and what it found: others left `left` by a run that began at `began`.
local function leavings(left, began)
  return function(since)
    if began >= since then return left end
    return nil
  end
end

local function never() error("it was run") end

describe("one run for a key on a node", function()
  before_each(function()
    -- What ran before may have let no time pass.
    ngx.update_time()
    state:delete("load:a.example")
  end)

  it("is made where others left nothing", function()
    local mine = {}
    local result = node_flight.once_per_node(state, "a.example", 1, function() return mine end,
      function() return nil end, 0)
    assert.equal(mine, result)
    assert.is_nil(state:get("load:a.example"))
  end)

  it("is not made again by a worker that asked while another's came to its end", function()
    local theirs = {}
    local left = leavings(theirs, ngx.now())
    assert.equal(theirs, node_flight.once_per_node(state, "a.example", 1, never, left, 0))
    assert.equal(theirs, node_flight.once_per_node(state, "a.example", 1, never, left, ngx.now() - 0.001))
    assert.is_nil(state:get("load:a.example"), "the lock is given back")
  end)

  it("is made where others left no more than the caller knows, or the caller wants what is there now", function()
    local mine, read_at = {}, ngx.now()
    local left = leavings({}, read_at)
    local run = function() return mine end
    assert.equal(mine, node_flight.once_per_node(state, "a.example", 1, run, left, read_at))
    assert.equal(mine, node_flight.once_per_node(state, "a.example", 1, run, left))
  end)

  it("is waited for while it is another worker's", function()
    local theirs, began = {}, ngx.now()
    state:add("load:a.example", began, 2)
    ngx.timer.at(0.02, function() state:delete("load:a.example") end)
    assert.equal(theirs, node_flight.once_per_node(state, "a.example", 1, never, leavings(theirs, began)))
    -- A timer may be early by a millisecond.
    assert.is_true(ngx.now() - began >= 0.018)
  end)

  it("is not waited for longer than the caller's patience", function()
    state:add("load:a.example", ngx.now(), 2)
    local result, err = node_flight.once_per_node(state, "a.example", 0.02, never, function() return nil end)
    assert.is_nil(result)
    assert.matches("did not end in time", err)
  end)
end)
