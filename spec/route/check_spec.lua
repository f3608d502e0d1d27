local check = require("resty.switchboard.route.check")
local create_layouts = require("resty.switchboard.schema.layouts").create_layouts
local dict = require("resty.switchboard.route.dict")
local load = require("resty.switchboard.route.loader").load
local lookup = require("resty.switchboard.route.lookup")
local names = require("resty.switchboard.route.names")
local pace = require("resty.switchboard.route.pace")
local read_config = require("resty.switchboard.config").read_config
local redis = require("resty.switchboard.store.redis")
local trust = require("resty.switchboard.store.trust")

describe("a look at everything in Redis", function()
  local config = read_config({ redis_url = "redis://127.0.0.1:6379" }, 2)
  local COUNT = 400
  local dicts, loader, looks, epoch

  local function name_of(i)
    return ("app-%03d.example"):format(i)
  end

  --- The dict of routes, which counts how often it is looked into.
  local function counted(routes)
    return setmetatable({}, {
      __index = function(_, method)
        return function(_, ...)
          if method == "get" then looks = looks + 1 end
          return routes[method](routes, ...)
        end
      end,
    })
  end

  local function read_everything()
    looks = 0
    local routes = dicts.routes
    dicts.routes = counted(routes)
    local err = check.read_everything(pace.create(loader, function() return true end, function() return 0 end), epoch)
    dicts.routes = routes
    assert.is_nil(err)
  end

  local function assert_all_there()
    local listed = {}
    for page = 1, names.last_page(dicts.names) do
      for _, name in ipairs(names.names_on(dicts.names, page)) do listed[name] = (listed[name] or 0) + 1 end
    end
    for i = 1, COUNT do
      assert.truthy(dict.read_route(dicts, name_of(i)), name_of(i))
      assert.equal(1, listed[name_of(i)], name_of(i))
    end
    assert.equal(COUNT, names.count(dicts.names))
  end

  before_each(function()
    dicts = dict.open()
    for _, one in ipairs { dicts.routes, dicts.matches, dicts.names, dicts.state } do
      one:flush_all()
      one:flush_expired()
    end
    local commands = { { "FLUSHALL" } }
    for i = 1, COUNT do commands[i + 1] = { "SADD", "backends:" .. name_of(i), "10.0.0.1:80" } end
    assert(redis.transaction(config, commands, 5))
    loader = lookup.create(config, create_layouts(config), dicts, function() end, function() end, function() end).loader
    epoch = trust.begin_epoch(dicts.state)
  end)

  it("finds all, and looks for few of many new names in the dict", function()
    read_everything()
    assert_all_there()
    -- All of the first step, one in eight of the next ones.
    assert.is_true(looks > 0 and looks < COUNT / 2, looks)
  end)

  it("asks Redis for no name that is known", function()
    read_everything()
    local function sets_read()
      local info = assert(redis.transaction(config, { { "INFO", "commandstats" } }, 1))[1]
      return tonumber(info:match("cmdstat_smembers:calls=(%d+)"))
    end
    local before = sets_read()
    read_everything()
    assert.equal(before, sets_read())
    assert_all_there()
  end)

  it("finds those that are new among known ones, however they lie", function()
    for _, share in ipairs { 0.02, 0.5, 0.98 } do
      math.randomseed(5)
      for i = 1, COUNT do
        if math.random() < share then
          assert(load(loader, name_of(i), 1))
        else
          dict.delete_route(dicts, name_of(i))
        end
      end
      read_everything()
      assert_all_there()
    end
  end)
end)
