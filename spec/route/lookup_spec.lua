local codec = require("resty.switchboard.route.codec")
local dict = require("resty.switchboard.route.dict")
local create_layouts = require("resty.switchboard.schema.layouts").create_layouts
local lookup = require("resty.switchboard.route.lookup")
local outage = require("resty.switchboard.store.outage")
local read_config = require("resty.switchboard.config").read_config
local trust = require("resty.switchboard.store.trust")

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
