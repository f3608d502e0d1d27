local lease = require("resty.switchboard.store.lease")
local state = ngx.shared.switchboard_state

describe("the lease", function()
  before_each(function() state:flush_all() end)

  it("is one worker's at a time, as long as he renews it", function()
    local a, b = lease.create(state), lease.create(state)
    assert.is_true(lease.look(a))
    for _ = 1, 5 do
      ngx.sleep(lease.LOOK_EVERY)
      assert.is_true(lease.look(a))
      assert.is_false(lease.look(b))
      assert.is_false(lease.holds(b))
    end
    assert.equal(ngx.worker.pid(), lease.holder(state))
  end)

  it("is taken over within a second of the last renewal", function()
    local a, b = lease.create(state), lease.create(state)
    assert(lease.look(a))
    ngx.update_time()
    local began = ngx.now()
    while not lease.look(b) do
      ngx.sleep(lease.LOOK_EVERY)
    end
    assert.is_true(ngx.now() - began < 1, ngx.now() - began)
    assert.is_false(lease.holds(a))
  end)

  it("is not prolonged or given back by who held it before", function()
    local a, b = lease.create(state), lease.create(state)
    assert(lease.look(a))
    ngx.sleep(0.8)
    assert(lease.look(b))
    assert.is_false(lease.look(a))
    lease.release(a)
    assert.is_true(lease.holds(b))
  end)

  it("is free at once when it is given back", function()
    local a, b = lease.create(state), lease.create(state)
    assert(lease.look(a))
    lease.release(a)
    assert.is_true(lease.look(b))
  end)
end)
