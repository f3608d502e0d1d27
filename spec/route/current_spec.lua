local codec = require("resty.switchboard.route.codec")
local dict = require("resty.switchboard.route.dict")
local fence = require("resty.switchboard.route.fence")
local is_current = require("resty.switchboard.route.current").is_current
local left_by_others = require("resty.switchboard.route.current").left_by_others
local trust = require("resty.switchboard.store.trust")

describe("what another worker's load has left", function()
  local dicts = dict.open()
  local epoch, now

  local function write_route(of)
    local stored = { loaded = now, fresh = 600, held = false, epoch = epoch, stamp = 0, page = 0, text = "\1" }
    for key, value in pairs(of) do stored[key] = value end
    assert(dict.write_route(dicts, "a.example", stored))
  end

  local function write_match(of)
    local match = { loaded = now, epoch = epoch, stamp = 0, pattern = "*.example" }
    for key, value in pairs(of) do match[key] = value end
    dict.write_match(dicts, "a.example", match, 60)
  end

  before_each(function()
    for _, each in pairs(dicts) do each:flush_all() end
    now = ngx.now()
    epoch = trust.begin_epoch(dicts.state)
  end)

  it("is a route, or whose it is", function()
    assert.is_nil(left_by_others(dicts, "a.example", now))
    write_match {}
    assert.same({ pattern = "*.example", missing = true }, left_by_others(dicts, "a.example", now))
    write_route {}
    local left = left_by_others(dicts, "a.example", now)
    assert.equal("\1", left.stored.text)
    assert.is_false(left.missing)
  end)

  for what, of in pairs { ["before that"] = { loaded = ngx.now() - 1 }, ["of what has changed since"] = { stamp = 7 } } do
    it("is nothing where it was read " .. what, function()
      write_match(of)
      assert.is_nil(left_by_others(dicts, "a.example", now))
      write_route(of)
      assert.is_nil(left_by_others(dicts, "a.example", now))
    end)
  end

  -- A route that was gone from Redis was written again under its earlier epoch until that was believed; the look at all names
  -- that was to end it took that for the answer.
  it("is nothing where it is of an earlier epoch, though it was written just now", function()
    write_match { epoch = epoch - 1 }
    assert.is_nil(left_by_others(dicts, "a.example", now))
    write_route { epoch = epoch - 1 }
    assert.is_nil(left_by_others(dicts, "a.example", now))
  end)
end)

describe("a stored route", function()
  local dicts = dict.open()

  local function stored(options)
    local record = { kind = "set", paths_only = false, instances = {}, options = options, problems = {} }
    return { stamp = 0, text = codec.join("", codec.encode(record)) }
  end

  before_each(function() dicts.state:flush_all() end)

  it("is current while its counter stands still, and when what moved it was the change of others", function()
    assert.is_true(is_current(dicts, "a.example", stored {}))
    fence.bump(dicts.state, "a.example")
    assert.is_false(is_current(dicts, "a.example", stored {}))
    fence.settle(dicts.state, "a.example")
    assert.is_true(is_current(dicts, "a.example", stored {}))
  end)

  -- They are read again by who asks for them, and by nobody when the pool or the host is.
  it("that has a pool, or the options of a host, is not current for that", function()
    for _, name in ipairs { "a.example", "a.example/path", "@blue" } do
      fence.bump(dicts.state, name)
      fence.settle(dicts.state, name)
    end
    assert.is_false(is_current(dicts, "a.example", stored { pool = "@blue" }))
    assert.is_false(is_current(dicts, "a.example/path", stored {}))
  end)
end)
