local live = require("resty.switchboard.observe.live")
local instances = require("resty.switchboard.balance.instances")
local dict = ngx.shared.switchboard_metrics

local A, B = "http://10.0.0.1:80", "https://[fd00::1]:443"

describe("instances that somebody looks at", function()
  local a

  before_each(function()
    dict:flush_all()
    live.tell_live(dict, 1) -- nobody looks: what was known is forgotten
    a = instances.state_of(A)
    a.in_flight, a.ended = 0, 100
  end)

  local function told(now)
    live.tell_live(dict, now)
    return live.read_live(dict)
  end

  it("are told of only while somebody does", function()
    assert.same({}, told(10))
    live.look_at(dict, {})
    assert.same({}, told(11))
    live.look_at(dict, { A, B })
    a.in_flight = 3
    local found = told(12)
    assert.same({ running = 3 }, found[A])
    assert.same({ running = 0 }, found[B])
  end)

  it("have a rate from the second look on, which follows what ends there", function()
    live.look_at(dict, { A })
    told(10)
    a.ended = 120
    assert.equal(10, told(12)[A].rate)
    a.ended = 120
    local slower = told(13)[A].rate
    assert.is_true(slower > 5 and slower < 10)
    for second = 14, 60 do told(second) end
    assert.is_true(told(61)[A].rate < 0.01)
  end)

  it("begin anew where their counts do", function()
    live.look_at(dict, { A })
    told(10)
    a.ended = 5
    assert.is_nil(told(11)[A].rate)
    a.ended = 7
    assert.equal(2, told(12)[A].rate)
  end)

  it("are no more than a thousand of a list", function()
    local many = {}
    for i = 1, 1500 do many[i] = "http://10.0." .. math.floor(i / 256) .. "." .. i % 256 .. ":80" end
    live.look_at(dict, many)
    local count = 0
    for _ in pairs(told(10)) do count = count + 1 end
    assert.equal(1000, count)
  end)
end)
