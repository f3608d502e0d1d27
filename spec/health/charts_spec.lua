local charts = require("resty.switchboard.health.charts")
local check_of = require("resty.switchboard.schema.check").check_of

local function wanted(identity, host, label)
  label = label or "tcp"
  return { key = identity .. " " .. label, patient = { identity = identity, host = host or "a.example" }, check = check_of({ check = label }) }
end

-- What becomes of an instance by checks that fail (0) and pass (1).
local function after(results, ill)
  local all = charts.create()
  local chart = charts.want(all, wanted("x"), 1000)
  chart.ill = ill
  local turns = {}
  for result in results:gmatch("%d") do
    turns[#turns + 1] = charts.note_end(chart, result == "0" and "refused" or nil) and 1 or 0
  end
  return table.concat(turns), chart.ill
end

describe("the charts of instances", function()
  it("call it ill after three that failed, and well after two that passed", function()
    assert.same({ "000", nil }, { after("001") })
    assert.same({ "001", "refused" }, { after("000") })
    assert.same({ "0000000", nil }, { after("0010011") })
    assert.same({ "00100", "refused" }, { after("00010") })
    assert.same({ "00101", nil }, { after("00011") })
    assert.same({ "01", nil }, { after("11", "as another worker found") })
    assert.same({ "000", "refused" }, { after("100", "as another worker found") })
  end)

  it("have one check of what several routes want, with the first host of them", function()
    local all = charts.create()
    charts.begin_round(all)
    assert.is_table(charts.want(all, wanted("x", "b.example"), 1000))
    assert.is_nil(charts.want(all, wanted("x", "a.example"), 1000))
    assert.is_nil(charts.want(all, wanted("x", "c.example"), 1000))
    assert.is_table(charts.want(all, wanted("x", "c.example", "http:/"), 1000))
    assert.equal(2, all.count)
    assert.equal("a.example", all.by_key["x tcp"].wanted.patient.host)
    charts.begin_round(all)
    charts.want(all, wanted("x", "c.example"), 1000)
    assert.equal("c.example", all.by_key["x tcp"].wanted.patient.host)
    all.by_key["x http:/"].ill = "status 500"
    assert.is_true(charts.is_ill_otherwise(all, all.by_key["x tcp"]))
    local left = charts.end_round(all)
    assert.same({ "status 500" }, { left[1].ill })
    assert.equal(1, all.count)
    assert.is_false(charts.is_ill_otherwise(all, all.by_key["x tcp"]))
  end)

  it("have each due about every two seconds, not all at once, and not while it is under way", function()
    local all = charts.create()
    for i = 1, 200 do charts.want(all, wanted("x" .. i), 1000) end
    assert.is_true(#charts.take_due(all, 1000.5) < 100)
    local due = charts.take_due(all, 1002)
    assert.is_true(#due > 100)
    assert.equal(0, #charts.take_due(all, 1100))
    local least, most = math.huge, 0
    for _, chart in ipairs(due) do
      charts.note_begin(chart, 1002)
      least, most = math.min(least, chart.due_at - 1002), math.max(most, chart.due_at - 1002)
      charts.note_end(chart, nil)
    end
    assert.is_true(least >= 1.8 and least < 1.9 and most > 2.1 and most <= 2.2, least .. " " .. most)
    assert.equal(0, #charts.take_due(all, 1003.7))
    assert.equal(#due, #charts.take_due(all, 1004.3))
  end)
end)
