local exposition = require("resty.switchboard.observe.exposition")

local function page_of(open, fill)
  local parts = {}
  local page = exposition.create(open, function(words) parts[#parts + 1] = table.concat(words) end, function() end)
  fill(page)
  exposition.finish(page)
  return table.concat(parts), #parts
end

describe("a page of metrics", function()
  local function two_families(page)
    exposition.family(page, "a_total", "counter", "What a is.")
    exposition.sample(page, 'a_total{x="1"}', 12345678901)
    exposition.family(page, "b", "gauge", "What b is.")
    exposition.sample(page, "b", 0.125)
  end

  it("is Prometheus' text", function()
    assert.equal('# HELP a_total What a is.\n# TYPE a_total counter\na_total{x="1"} 12345678901\n# HELP b What b is.\n# TYPE b gauge\nb 0.125\n',
      page_of(false, two_families))
  end)

  it("is OpenMetrics, with families named without _total and an end", function()
    assert.equal('# HELP a What a is.\n# TYPE a counter\na_total{x="1"} 12345678901\n# HELP b What b is.\n# TYPE b gauge\nb 0.125\n# EOF\n',
      page_of(true, two_families))
  end)

  it("escapes what stands in a label, and nothing else", function()
    assert.equal("plain.example/ä", exposition.escape("plain.example/ä"))
    assert.equal('a\\"b\\\\c\\nd', exposition.escape('a"b\\c\nd'))
  end)

  it("is written piece by piece", function()
    local text, parts = page_of(false, function(page)
      for i = 1, 2001 do exposition.sample(page, "a", i) end
    end)
    assert.is_true(parts >= 4)
    assert.equal(2001, select(2, text:gsub("\na ", "\n")))
    assert.matches("a 1999\na 2000\na 2001\n$", text)
  end)

  it("leaves nothing for the collector", function()
    local page = exposition.create(false, function() end, function() end)
    local function fill()
      for i = 1, 5000 do exposition.row(page, "\na{", 'x="1"} ', i) end
    end
    for _ = 1, 20 do fill() end
    collectgarbage()
    collectgarbage("stop")
    local before = collectgarbage("count")
    fill()
    local left = collectgarbage("count") - before
    collectgarbage("restart")
    assert.is_true(left < 16, left .. " kB")
  end)

  it("is OpenMetrics for who asks for it, as Prometheus does", function()
    assert.is_true(exposition.wants_open_metrics("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"))
    assert.is_false(exposition.wants_open_metrics("text/plain"))
    assert.is_false(exposition.wants_open_metrics(nil))
  end)
end)
