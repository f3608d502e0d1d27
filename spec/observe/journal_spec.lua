local root = debug.getinfo(1, "S").source:match("^@(.*)spec/observe/")

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

-- The first words of the table "Its own log".
local function documented()
  local section = read(root .. "README.md"):match("\n## Its own log\n(.-)\n## ")
  local words = {}
  for cell in section:gmatch("\n| (`[^|]*) |") do
    for word in cell:gmatch("`([%l_]+)`") do words[word] = true end
  end
  words.event = nil
  return words
end

-- Events that the compiled modules name in calls of tell() and say(); reasons of answers are no literals there.
local function told()
  local words = {}
  local list = io.popen("find " .. root .. "lib/resty/switchboard -name '*.lua'")
  for path in list:lines() do
    for call in read(path):gmatch("[%s(]tell(%b())") do
      local word = call:match('^%(%s*ngx%.%u+,%s*"([%l_]+)')
      if word then words[word] = true end
    end
    for call in read(path):gmatch("[%s(]say(%b())") do
      local word = call:match('^%(%s*ngx%.%u+,%s*"([%l_]+)')
      if word then words[word] = true end
    end
  end
  list:close()
  return words
end

describe("the journal", function()
  local journal, lines, now
  local log, clock = ngx.log, ngx.now

  before_each(function()
    package.loaded["resty.switchboard.observe.journal"] = nil
    lines, now = {}, 1000
    ngx.log = function(_, ...) lines[#lines + 1] = table.concat({ ... }) end
    ngx.now = function() return now end
    journal = require("resty.switchboard.observe.journal")
  end)
  after_each(function() ngx.log, ngx.now = log, clock end)

  it("makes foreign bytes fit for a line, and leaves others alone", function()
    for byte = 0, 255 do
      local char = string.char(byte)
      local expected = (byte < 32 or byte == 127 or char == '"' or char == "\\") and "?" or char
      assert.equal("a" .. expected .. "z", journal.printable("a" .. char .. "z"), byte)
    end
    assert.equal(("x"):rep(120) .. "…", journal.printable(("x"):rep(121)))
    assert.equal("a?" .. ("x"):rep(118) .. "…", journal.printable("a\n" .. ("x"):rep(200)))
  end)

  it("writes key=value, the message last, in one line whatever stands in it", function()
    journal.tell(ngx.ERR, 'no_instances a"\n.example', "a: no\r\ninstances")
    journal.tell(ngx.ERR, "redis_down", "down")
    assert.same({
      '[switchboard] event=no_instances about="a??.example" msg=a: no??instances',
      "[switchboard] event=redis_down msg=down",
    }, lines)
  end)

  it("writes an equal message once in 10 s, and says how many it left out", function()
    for _ = 1, 5 do journal.tell(ngx.ERR, "loop a.example", "x") end
    now = now + 10
    journal.tell(ngx.ERR, "loop a.example", "x")
    assert.same({ '[switchboard] event=loop about="a.example" msg=x', '[switchboard] event=loop about="a.example" suppressed=4 msg=x' }, lines)
  end)

  it("writes at most 100 lines of an event in 10 s, whatever they are about, and others still", function()
    for i = 1, 5000 do journal.tell(ngx.ERR, "no_instances h" .. i .. ".example", "x") end
    assert.equal(100, #lines)
    journal.tell(ngx.ERR, "redis_down", "x")
    assert.equal(101, #lines)
    now = now + 10
    journal.tell(ngx.ERR, "no_instances late.example", "x")
    assert.matches(" suppressed=4900 ", lines[102])
  end)

  it("has only events that the README lists, and the README only those", function()
    local listed, used = documented(), told()
    for word in pairs(used) do assert.is_true(listed[word], word .. " is told and not listed") end
    local reasons = {}
    for word in read(root .. "lib/resty/switchboard/observe/counters.lua"):gmatch('answers_total{reason=\\"([%l_]+)') do reasons[word] = true end
    for word in pairs(listed) do assert.is_true(used[word] or reasons[word], word .. " is listed and never told") end
    assert.is_true(used.redis_down and used.guard_holding and used.value_skipped and used.unprepared)
  end)
end)
