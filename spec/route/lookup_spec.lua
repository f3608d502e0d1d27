local changes = require("resty.switchboard.route.changes")
local codec = require("resty.switchboard.route.codec")
local dict = require("resty.switchboard.route.dict")
local create_layouts = require("resty.switchboard.schema.layouts").create_layouts
local load = require("resty.switchboard.route.loader").load
local lookup = require("resty.switchboard.route.lookup")
local outage = require("resty.switchboard.store.outage")
local read_config = require("resty.switchboard.config").read_config
local redis = require("resty.switchboard.store.redis")
local trust = require("resty.switchboard.store.trust")
local look_at_generation = require("resty.switchboard.route.worker_cache").look_at_generation

local function wait_for(condition)
  for _ = 1, 3000 do
    if condition() then return end
    ngx.sleep(0.001)
  end
  error("waited in vain")
end

describe("a watched route whose heart-beats have all lapsed", function()
  local dicts = dict.open()

  before_each(function()
    for _, each in pairs(dicts) do each:flush_all() end
  end)

  -- The watch is back some milliseconds before the ping that notes that Redis is: what is read in between was
  -- kept for as long as the watch stayed healthy, for minutes.
  it("ends soon after an outage, also where it was read just before the outage was noted as over", function()
    local config = read_config({ redis_url = "redis://127.0.0.1:1", clock_slack = 0 }, 2)
    local routes = lookup.create(config, create_layouts(config), dicts, error, error, error)
    local record = {
      kind = "zset",
      paths_only = false,
      instances = { { tls = false, host = "10.0.0.5", port = 1, weight = 1, drain = false, ["until"] = ngx.now() - 1 } },
      options = {},
      problems = {},
    }
    local lives, body = codec.encode_lives(record), codec.encode(record)
    local epoch = trust.begin_epoch(dicts.state)
    outage.note_answer(dicts.state, false)
    trust.confirm(dicts.state, epoch)
    assert(dict.write_route(dicts, "beating.example", {
      loaded = ngx.now(), fresh = 600, held = false, epoch = epoch, stamp = 0, text = codec.join(lives, body),
    }))
    assert.is_nil(lookup.find(routes, "beating.example").refusal)

    outage.note_answer(dicts.state, true)

    wait_for(function()
      trust.confirm(dicts.state, epoch)
      return lookup.find(routes, "beating.example").refusal == "no_instances"
    end)
  end)
end)

describe("a request that waited for another one's load", function()
  local dicts = dict.open()
  local config = read_config({ redis_url = "redis://127.0.0.1:6379", ttl = 600 }, 2)
  local routes

  local function ask(...) return assert(redis.transaction(config, { { ... } }, 1))[1] end

  before_each(function()
    ngx.update_time()
    for _, each in pairs(dicts) do each:flush_all() end
    ask("FLUSHALL")
    routes = lookup.create(config, create_layouts(config), dicts, error, error, error)
    trust.confirm(dicts.state, trust.begin_epoch(dicts.state))
  end)

  after_each(function() ask("FLUSHALL") end)

  --- Two requests for a name; as soon as the first one's load is over something happens in the dicts, and this worker hears of it.
  local function find_twice(name, what)
    local first = ngx.thread.spawn(function()
      lookup.find(routes, name)
      what()
      changes.publish(dicts.state, name)
      look_at_generation(routes.cache, ngx.now())
    end)
    local second = ngx.thread.spawn(function() return (lookup.find(routes, name)) end)
    ngx.thread.wait(first)
    local _, entry = ngx.thread.wait(second)
    assert.truthy(entry)
    ngx.sleep(0.002)
    return lookup.find(routes, name)
  end

  it("keeps none that was gone again before it had its turn", function()
    ask("SADD", "backends:brief.example", "10.0.0.1:80")
    local entry, reason = find_twice("brief.example", function()
      dict.delete_route(dicts, "brief.example")
      dict.write_match(dicts, "brief.example", { loaded = ngx.now(), epoch = 1, stamp = 0, pattern = "" }, 60)
    end)
    assert.is_nil(entry)
    assert.equal("unknown_route", reason)
  end)

  it("keeps no pattern of a host that has become known before it had its turn", function()
    ask("SADD", "backends:*.example", "10.0.0.1:80")
    ask("SADD", "backends:model.example", "10.0.0.2:80")
    assert(load(routes.loader, "model.example", 1))
    local own = dict.read_route(dicts, "model.example")
    local entry = find_twice("own.example", function()
      dict.delete_match(dicts, "own.example")
      own.page = 0
      assert(dict.write_route(dicts, "own.example", own))
    end)
    assert.equal("own.example", entry.name)
  end)
end)
