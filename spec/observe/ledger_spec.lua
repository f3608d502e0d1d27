local ledgers = require("resty.switchboard.observe.ledger")

describe("the ledger of the node", function()
  local dict = ngx.shared.switchboard_metrics
  local count = ngx.worker.count
  local ledger

  --- A second later.
  local function tick(counted)
    dict:delete("spec:due")
    ledger.totals[1] = counted
    assert.is_nil(ledgers.tick(ledger))
  end

  local function waiting()
    return (dict:llen("spec:sheets"))
  end

  before_each(function()
    dict:flush_all()
    dict:flush_expired()
    ngx.worker.count = function() return 4 end
    ledger = ledgers.open(dict, "spec", 2)
  end)

  after_each(function()
    ngx.worker.count = count
    dict:flush_all()
    dict:flush_expired()
  end)

  it("is not looked at where nothing was sent", function()
    tick(0)
    assert.is_nil(dict:get("spec:due"))
    assert.equal(0, waiting())
  end)

  it("adds up at once when each worker has sent something, else after a while", function()
    tick(1)
    assert.equal(0, waiting())
    for i = 1, 3 do
      tick(1)
      assert.equal(i, waiting())
    end
    tick(1)
    assert.equal(0, waiting())
    tick(1)
    assert.equal(1, waiting())
    dict:delete("spec:overdue")
    tick(0)
    assert.equal(0, waiting())
  end)

  it("says all that was sent to who reads it, added up or not", function()
    for _ = 1, 3 do tick(2) end
    assert.equal(2, waiting())
    local found = ledgers.read(ledger)
    assert.equal(6, tonumber(found.totals[0]))
  end)
end)
