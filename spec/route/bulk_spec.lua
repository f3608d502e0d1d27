local bulk = require("resty.switchboard.route.bulk")
local changes = require("resty.switchboard.route.changes")
local codec = require("resty.switchboard.route.codec")
local events = require("resty.switchboard.observe.events")
local lives = require("resty.switchboard.route.lives")
local load_plain = require("resty.switchboard.route.bulk_plain").load_plain
local create_layouts = require("resty.switchboard.schema.layouts").create_layouts
local dict = require("resty.switchboard.route.dict")
local fence = require("resty.switchboard.route.fence")
local load = require("resty.switchboard.route.loader").load
local lookup = require("resty.switchboard.route.lookup")
local names_on = require("resty.switchboard.route.names").names_on
local last_page = require("resty.switchboard.route.names").last_page
local read_config = require("resty.switchboard.config").read_config
local redis = require("resty.switchboard.store.redis")
local trust = require("resty.switchboard.store.trust")

--- What route/renewal does: @return what became of those that were not read the quick way, in their order
local function load_many(loader, names, patience, piece)
  local outcomes, left = {}, bulk.load_quickly(loader, names, patience, piece, false)
  bulk.load_rest(loader, left, patience, function(outcome) outcomes[outcome.name] = outcome end)
  for i, name in ipairs(left) do outcomes[i] = outcomes[name] end
  return outcomes
end

describe("names that are loaded together", function()
  local config = read_config({ redis_url = "redis://127.0.0.1:6379" }, 2)
  local dicts = dict.open()
  local loader, said

  local function ask(...)
    local replies = assert(redis.transaction(config, { { ... } }, 1))
    return replies[1]
  end

  --- How often Redis was asked a command.
  local function calls(command)
    return tonumber(ask("INFO", "commandstats"):match("cmdstat_" .. command .. ":calls=(%d+)")) or 0
  end

  local function forget_all()
    for _, one in ipairs { dicts.routes, dicts.matches, dicts.names, dicts.state } do
      one:flush_all()
      one:flush_expired()
    end
  end

  --- Plain routes, by the form of their names.
  local function add_plain(form, count)
    local names = {}
    for i = 1, count do
      names[i] = form:format(i)
      ask("SADD", "backends:" .. names[i], "10.0.0.1:80")
    end
    return names
  end

  local function text_of(name)
    local stored = dict.read_route(dicts, name)
    return stored and stored.text
  end

  before_each(function()
    ngx.update_time()
    events.open_events(dicts.metrics)
    forget_all()
    ask("FLUSHALL")
    said = {}
    local report = function(name, problem) said[#said + 1] = name .. " " .. problem.reason end
    loader = lookup.create(config, create_layouts(config), dicts, report, error, error).loader
  end)

  after_each(function()
    ask("FLUSHALL")
    forget_all()
  end)

  it("are what they are when each is loaded by itself, whatever they have", function()
    local names = {}
    for i = 1, 20 do
      names[i] = "plain-" .. i .. ".example"
      ask("SADD", "backends:" .. names[i], "10.0.0.2:80", "10.0.0.1:8" .. i)
    end
    ask("ZADD", "backends:beats.example", 1700000000, "10.0.0.1:80", 1700000001, "10.0.0.2:80")
    ask("SADD", "backends:weighs.example", "10.0.0.1:80?weight=3", "10.0.0.2:80")
    ask("SADD", "backends:drains.example", "10.0.0.1:80")
    ask("HSET", "instances:drains.example", "10.0.0.1:80", "drain=1")
    ask("SADD", "backends:has-options.example", "10.0.0.1:80")
    ask("HSET", "route:has-options.example", "tries", 2, "balance", "nonsense")
    ask("HSET", "route:points.example", "pool", "@blue")
    ask("SADD", "backends:@blue", "10.0.0.9:80")
    ask("SADD", "backends:has-paths.example", "10.0.0.1:80")
    ask("SADD", "paths:has-paths.example", "/api")
    ask("SADD", "backends:has-paths.example/api", "10.0.0.3:80")
    ask("SADD", "backends:empty.example", "-")
    ask("SET", "backends:wrong.example", "text")
    for _, name in ipairs { "beats", "weighs", "drains", "has-options", "points", "has-paths", "empty", "wrong", "unknown" } do
      names[#names + 1] = name .. ".example"
    end
    names[#names + 1] = "has-paths.example/api"
    names[#names + 1] = "@blue"

    local expected = {}
    for _, name in ipairs(names) do
      assert(load(loader, name, 1))
      expected[name] = text_of(name) or false
    end
    assert.is_false(expected["unknown.example"])
    local said_before = table.concat(said, "\n")
    assert.truthy(said_before:find("has-options", 1, true))

    forget_all()
    local left = load_plain(loader, names, 1, 8)
    assert.is_true(#left < #names - 15, #left)
    for _, name in ipairs(names) do
      local is_left = false
      for _, other in ipairs(left) do is_left = is_left or other == name end
      if is_left then
        assert.is_nil(text_of(name), name)
      else
        assert.equal(expected[name], text_of(name), name)
      end
    end

    for _, again in ipairs { false, true } do
      if not again then forget_all() end
      said = {}
      local outcomes = load_many(loader, names, 1, 8)
      assert.is_true(#outcomes < #names - 15, #outcomes)
      for _, outcome in ipairs(outcomes) do assert.is_nil(outcome.err, outcome.name) end
      for _, name in ipairs(names) do
        assert.equal(expected[name], text_of(name) or false, name)
        local stored = dict.read_route(dicts, name)
        if stored then
          local listed = false
          for _, other in ipairs(names_on(dicts.names, stored.page)) do listed = listed or other == name end
          assert.is_true(listed, name)
        end
      end
      assert.truthy(table.concat(said, "\n"):find("has-options", 1, true))
    end
  end)

  --- How often each name stands in the list.
  local function listed()
    local seen = {}
    for page = 1, last_page(dicts.names) do
      for _, name in ipairs(names_on(dicts.names, page)) do seen[name] = (seen[name] or 0) + 1 end
    end
    return seen
  end

  it("that are known and passed for new are left, and stand in the list once", function()
    local names = add_plain("new-%d.example", 20)
    load_many(loader, { names[1], names[2], names[3] }, 1, 8)
    ask("SADD", "backends:" .. names[1], "10.0.0.2:80")
    local left = load_plain(loader, names, 1, 8, true)
    assert.same({ names[1], names[2], names[3] }, left)
    load_many(loader, left, 1, 8)
    local seen = listed()
    for _, name in ipairs(names) do assert.equal(1, seen[name], name) end
    assert.truthy(text_of(names[1]):find("\10\0\0\2", 1, true))
  end)

  it("that are new are left where another load was quicker, and stand in the list once", function()
    local names = add_plain("new-%d.example", 2)
    local left
    local thread = ngx.thread.spawn(function() left = load_plain(loader, names, 1, 8) end)
    -- The questions are on their way.
    assert(dict.write_route(dicts, names[2], { loaded = ngx.now(), fresh = 60, held = false, epoch = 0, stamp = 0, text = "\1" }))
    ngx.thread.wait(thread)
    assert.same({ names[2] }, left)
    assert.same({ [names[1]] = 1, [names[2]] = 1 }, listed())
  end)

  it("that are new and were changed meanwhile are left to be read again", function()
    ask("SADD", "backends:a.example", "10.0.0.1:80")
    ask("SADD", "backends:b.example", "10.0.0.1:80")
    local left
    local thread = ngx.thread.spawn(function() left = load_plain(loader, { "a.example", "b.example" }, 1, 8) end)
    -- The questions are on their way.
    fence.bump(dicts.state, "b.example")
    ngx.thread.wait(thread)
    assert.same({ "b.example" }, left)
    assert.truthy(text_of("a.example"))
    assert.is_nil(text_of("b.example"))
    assert.same({ ["a.example"] = 1 }, listed())
  end)

  it("are written piece by piece, and others have their turn between", function()
    local names = add_plain("app-%02d.example", 10)
    local turns, running = {}, true
    local other = ngx.thread.spawn(function()
      while running do
        ngx.sleep(0.001)
        local there = 0
        for _, name in ipairs(names) do there = there + (text_of(name) and 1 or 0) end
        turns[there] = true
      end
    end)
    -- The turns of others last for as long as that: they are seen to be had.
    local new_timer = ngx.timer.at
    ngx.timer.at = function(after, ...) return new_timer(after == 0 and 0.005 or after, ...) end
    assert.same({}, load_plain(loader, names, 1, 4))
    ngx.timer.at = new_timer
    running = false
    ngx.thread.wait(other)
    assert.is_true(turns[4] and turns[8], "after the first and the second piece")
  end)

  it("are left but for the pieces that were written before an epoch began", function()
    local names = add_plain("app-%02d.example", 6)
    local new_timer = ngx.timer.at
    ngx.timer.at = function(...)
      if text_of(names[4]) then trust.begin_epoch(dicts.state) end
      return new_timer(...)
    end
    local left = load_plain(loader, names, 1, 4)
    ngx.timer.at = new_timer
    assert.same({ names[5], names[6] }, left)
    assert.truthy(text_of(names[4]))
    assert.is_nil(text_of(names[5]))
  end)

  it("that are new take the place of what was said of them before", function()
    ask("SADD", "backends:late.example", "10.0.0.1:80")
    dict.write_match(dicts, "late.example", { loaded = ngx.now(), epoch = 0, stamp = 0, pattern = "" }, 60)
    local before = dicts.state:get("generation") or 0
    assert.same({ "other.example" }, load_plain(loader, { "late.example", "other.example" }, 1, 8))
    assert.is_nil(dict.read_match(dicts, "late.example"))
    assert.equal(before + 1, dicts.state:get("generation"))
    assert.truthy(text_of("late.example"))
  end)

  local function generation()
    return dicts.state:get("generation") or 0
  end

  local function latest_event()
    local event = events.latest_events(0, 1)[1]
    return event.kind .. " " .. event.subject .. " " .. event.detail
  end

  it("that are known and have changed are told to all workers, and to who keeps what all are", function()
    local names = add_plain("app-%d.example", 3)
    assert.same({}, load_plain(loader, names, 1, 8))
    ask("SADD", "backends:" .. names[2], "10.0.0.2:80")
    local before, revision = generation(), changes.revision(dicts.state)
    assert.same({}, load_plain(loader, names, 1, 8))
    assert.same({ names[2] }, changes.since(dicts.state, before, generation(), true).names)
    assert.equal(revision + 1, changes.revision(dicts.state))
    assert.equal("route_changed app-2.example 2 instances", latest_event())
    assert.truthy(text_of(names[2]):find("\10\0\0\2", 1, true))
    assert.same({ [names[1]] = 1, [names[2]] = 1, [names[3]] = 1 }, listed())
    assert.same({}, load_plain(loader, names, 1, 8))
    assert.equal(before + 1, generation())
    assert.equal(revision + 1, changes.revision(dicts.state))
  end)

  it("that are known and beat are told to nobody, unless an instance is to end sooner", function()
    loader.usual = "zset"
    local key, names = "backends:beats.example", { "beats.example" }
    ask("ZADD", key, 4000000000, "10.0.0.1:80")
    assert.same({}, load_plain(loader, names, 1, 8))
    local before = generation()
    for _, until_when in ipairs { 4000000010, 4000000005 } do
      ask("ZADD", key, until_when, "10.0.0.1:80")
      assert.same({}, load_plain(loader, names, 1, 8))
      assert.equal(before + (until_when == 4000000005 and 1 or 0), generation())
      assert.same({ until_when }, lives.unpack_lives((codec.split(text_of(names[1])))))
    end
  end)

  it("that are known are left when they are gone, or have more than instances", function()
    local names = add_plain("app-%d.example", 4)
    assert.same({}, load_plain(loader, names, 1, 8))
    ask("DEL", "backends:" .. names[1])
    ask("HSET", "route:" .. names[2], "tries", 2)
    ask("DEL", "backends:" .. names[3])
    ask("ZADD", "backends:" .. names[3], 4000000000, "10.0.0.1:80")
    assert.same({ names[1], names[2], names[3] }, load_plain(loader, names, 1, 8))
    for _, outcome in ipairs(load_many(loader, names, 1, 8)) do assert.is_nil(outcome.err) end
    -- What has options is not asked for the quick way any more.
    local before = calls("exists")
    assert.same({ names[2] }, load_plain(loader, { names[2] }, 1, 8))
    assert.equal(before, calls("exists"))
  end)

  it("that are known and stand in another kind of set by now are read together", function()
    local names = add_plain("app-%d.example", 10)
    assert.same({}, load_plain(loader, names, 1, 8))
    for _, name in ipairs(names) do
      ask("DEL", "backends:" .. name)
      ask("ZADD", "backends:" .. name, 4000000000, "10.0.0.1:80")
    end
    local before = calls("exec")
    for _, outcome in ipairs(load_many(loader, names, 1, 8)) do assert.is_nil(outcome.err) end
    -- The quick way, in full, and the question itself.
    assert.equal(3, calls("exec") - before)
    for _, name in ipairs(names) do assert.equal(1, #lives.unpack_lives((codec.split(text_of(name))))) end
  end)

  it("that are known are read the quick way also while most of what is new is not plain", function()
    local names = add_plain("app-%d.example", 4)
    assert.same({}, load_plain(loader, names, 1, 8))
    loader.in_full = 16
    local new = add_plain("new-%d.example", 1)[1]
    assert.same({ new }, load_plain(loader, { names[1], new, names[2] }, 1, 8))
  end)

  it("that are new end what hosts with ports of theirs were taken for", function()
    loader.with_ports = true
    ask("SADD", "backends:a.example", "10.0.0.1:80")
    local function stamp() return fence.match_stamp(dicts.state, "a.example:81", { "a.example" }) end
    local before = stamp()
    assert.same({}, load_plain(loader, { "a.example" }, 1, 8))
    assert.equal(before + 1, stamp())
  end)

  it("are read in another way where the quick one fails by a fault of ours", function()
    local names = add_plain("app-%d.example", 3)
    loader.layouts[1].quick.decode = function() error("a fault") end
    local outcomes = load_many(loader, names, 1, 8)
    for i, name in ipairs(names) do
      assert.equal(name, outcomes[i].name)
      assert.truthy(text_of(name))
    end
  end)

  it("that are new are read with the kind of set that the last ones had", function()
    local names = {}
    for i = 1, 10 do
      names[i] = ("beats-%d.example"):format(i)
      ask("ZADD", "backends:" .. names[i], 4000000000 + i, "10.0.0.1:80")
    end
    assert.same(names, load_plain(loader, names, 1, 8))
    load_many(loader, { names[1], names[2] }, 1, 8)
    loader.in_full = 0
    assert.same({}, load_plain(loader, names, 1, 8))
    for _, name in ipairs(names) do assert.truthy(text_of(name)) end
  end)

  it("that lead others are left, and all of them where nobody answers", function()
    ask("SADD", "backends:*.wild.example", "10.0.0.1:80")
    ask("SADD", "backends:@pool", "10.0.0.1:80")
    assert.same({ "*.wild.example", "@pool", "a.example/path" },
      load_plain(loader, { "*.wild.example", "@pool", "a.example/path" }, 1, 8))
    local nobody = setmetatable({ config = read_config({ redis_url = "redis://127.0.0.1:1" }, 2) }, { __index = loader })
    assert.same({ "a.example", "b.example" }, load_plain(nobody, { "a.example", "b.example" }, 1, 8))
  end)

  it("are asked for by two commands each where they are plain, in one transaction", function()
    local names = add_plain("plain-%d.example", 30)
    local before = { calls("exists"), calls("smembers"), calls("hgetall"), calls("exec") }
    for _ = 1, 2 do load_many(loader, names, 1, 8) end
    assert.same({ 60, 60, 0 }, { calls("exists") - before[1], calls("smembers") - before[2], calls("hgetall") - before[3] })
    -- Two, and those of the questions themselves.
    assert.equal(2 + 4, calls("exec") - before[4])
  end)

  -- At a preload beside requests the collector took a quarter of the worker's time, and made turns of others longer.
  it("that are new leave little garbage", function()
    local function batch(i)
      local names, commands = {}, {}
      for k = 1, 20 do
        names[k] = ("app-%d-%d.example"):format(i, k)
        commands[k] = { "SADD", "backends:" .. names[k], "10.0.0.1:80", ("10.0.%d.2:80"):format(k), "10.0.0.3:8000" }
      end
      assert(redis.transaction(config, commands, 1))
      return names
    end
    -- Until all of it is compiled: what is interpreted leaves more.
    for i = 1, 200 do load_plain(loader, batch(i), 1, 5, true) end
    local bytes = 0
    for i = 201, 220 do
      local names = batch(i)
      collectgarbage()
      collectgarbage("stop")
      local before = collectgarbage("count")
      assert.same({}, load_plain(loader, names, 1, 5, true))
      bytes = bytes + (collectgarbage("count") - before) * 1024
      collectgarbage("restart")
    end
    assert.is_true(bytes / (20 * 20) < 1900, bytes / (20 * 20))
  end)

  it("are read in full at once where most have more than instances", function()
    local function batch(i)
      local names = {}
      for k = 1, 10 do
        names[k] = ("app-%d-%d.example"):format(i, k)
        ask("SADD", "backends:" .. names[k], "10.0.0.1:80")
        ask("HSET", "route:" .. names[k], "tries", 2)
      end
      return names
    end
    local first, second = batch(1), batch(2)
    local before = calls("exists")
    load_many(loader, first, 1, 8)
    assert.equal(10, calls("exists") - before)
    load_many(loader, second, 1, 8)
    assert.equal(10, calls("exists") - before)
    assert.truthy(text_of(second[10]))
  end)

  it("are read again when they were changed meanwhile", function()
    ask("SADD", "backends:a.example", "10.0.0.1:80")
    ask("SADD", "backends:b.example", "10.0.0.1:80")
    local before, outcomes = calls("smembers"), nil
    local thread = ngx.thread.spawn(function() outcomes = load_many(loader, { "a.example", "b.example" }, 1, 8) end)
    -- The questions are on their way.
    fence.bump(dicts.state, "b.example")
    ngx.thread.wait(thread)
    assert.equal(1, #outcomes)
    assert.equal("b.example", outcomes[1].name)
    assert.is_nil(outcomes[1].err)
    assert.is_true(calls("smembers") - before > 2)
    assert.equal(fence.stamp(dicts.state, "b.example"), dict.read_route(dicts, "b.example").stamp)
  end)

  -- Redis may have been asked before a change of which nobody tells any more, and the look at all names that begins with
  -- an epoch may have passed by before the answer comes.
  it("are read again when an epoch began meanwhile, however they are read", function()
    ask("SADD", "backends:a.example", "10.0.0.1:80")
    ask("SADD", "backends:b.example", "10.0.0.1:80")
    local names = { "a.example", "b.example" }
    for _, read in ipairs {
      function() return load_many(loader, names, 1, 8) end,
      function() return load(loader, "a.example", 1) end,
      function() return load_plain(loader, names, 1, 8) end,
    } do
      forget_all()
      local result
      local thread = ngx.thread.spawn(function() result = assert(read()) end)
      local epoch = trust.begin_epoch(dicts.state)
      ngx.thread.wait(thread)
      local stored = dict.read_route(dicts, "a.example")
      if result[1] == "a.example" then
        assert.same(names, result)
        assert.is_nil(stored)
      else
        assert.equal(epoch, stored.epoch)
      end
    end
  end)

  -- The worker may stand still between its last look at the counter and its writing, and overwrite what was read since.
  it("are read again when they were changed just before they were written, however they are read", function()
    for _, name in ipairs { "a.example", "b.example" } do
      ask("SADD", "backends:" .. name, "10.0.0.1:80")
      ask("HSET", "route:" .. name, "balance", "nonsense")
    end
    for _, read in ipairs {
      function() return load(loader, "a.example", 1) end,
      function() return load_many(loader, { "a.example", "b.example" }, 1, 8) end,
    } do
      forget_all()
      local once = true
      loader.report = function(name)
        if once and name == "a.example" then
          once = false
          fence.bump(dicts.state, name)
        end
      end
      assert(read())
      assert.is_false(once)
      assert.equal(fence.stamp(dicts.state, "a.example"), dict.read_route(dicts, "a.example").stamp)
    end
  end)

  -- Redis may have lost all of a million names: to ask for each of them alone would take minutes.
  it("are doubted together when they are gone after something may have been missed", function()
    local names = add_plain("lost-%d.example", 20)
    load_many(loader, names, 1, 8)
    for i = 1, 19 do ask("DEL", "backends:" .. names[i]) end
    trust.begin_epoch(dicts.state)
    local before = calls("exec")
    local outcomes = load_many(loader, names, 1, 8)
    -- The quick way, in full, and the question itself.
    assert.equal(3, calls("exec") - before)
    assert.equal(19, #outcomes)
    for i, name in ipairs(names) do
      assert.is_true(i == 20 or (outcomes[i].name == name and outcomes[i].loaded.missing), name)
      assert.truthy(text_of(name), name)
    end
    trust.believe_losses(dicts.state, trust.epoch_of(dicts.state))
    load_many(loader, names, 1, 8)
    assert.is_nil(text_of(names[1]))
    assert.truthy(text_of(names[20]))
    assert.same({ [names[20]] = 1 }, listed())
  end)

  it("do not come back when an epoch began while they were found to be gone", function()
    ask("SADD", "backends:a.example", "10.0.0.1:80")
    assert(load(loader, "a.example", 1))
    ask("DEL", "backends:a.example")
    local thread = ngx.thread.spawn(load, loader, "a.example", 1)
    local epoch = trust.begin_epoch(dicts.state)
    trust.believe_losses(dicts.state, epoch)
    ngx.thread.wait(thread)
    assert.is_nil(text_of("a.example"))
    assert.equal(epoch, dict.read_match(dicts, "a.example").epoch)
  end)

  it("stand in the list of names once, also where another worker has learnt of one meanwhile", function()
    local names = add_plain("app-%02d.some-long-domain.example", 30)
    local thread = ngx.thread.spawn(load_many, loader, names, 1, 8)
    local stored = { loaded = ngx.now(), fresh = 10, held = false, epoch = 0, stamp = 0, text = "\1" }
    assert(dict.write_route(dicts, names[30], stored))
    ngx.thread.wait(thread)
    assert.equal(1, listed()[names[30]])
  end)
end)
