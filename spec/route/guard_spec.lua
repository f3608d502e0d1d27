local guard = require("resty.switchboard.route.guard")
local trust = require("resty.switchboard.store.trust")
local state = ngx.shared.switchboard_state

describe("the guard", function()
  before_each(function() state:flush_all() end)

  it("knows a mass from single losses", function()
    local config = { guard_share = 0.5 }
    for _, case in ipairs {
      { 0, 0, false }, { 0, 10, false }, { 1, 1, false }, { 1, 2, false }, { 2, 2, true },
      { 5, 10, false }, { 6, 10, true }, { 10, 10, true },
    } do
      assert.equal(case[3], guard.is_mass(config, case[1], case[2]), ("%d of %d"):format(case[1], case[2]))
    end
    assert.is_true(guard.is_mass({ guard_share = 1 }, 3, 3))
  end)

  it("keeps the time of the first look at a loss, and forgets it when the loss is believed", function()
    local epoch = trust.begin_epoch(state)
    assert.is_false(trust.believes_losses(state))
    guard.hold(state, 6, 10, 1000)
    guard.hold(state, 7, 10, 2000)
    assert.same({ count = 7, known = 10, since = 1000 }, guard.held(state))
    guard.release(state, epoch)
    assert.is_nil(guard.held(state))
    assert.is_true(trust.believes_losses(state))
    trust.begin_epoch(state)
    assert.is_false(trust.believes_losses(state))
  end)
end)
