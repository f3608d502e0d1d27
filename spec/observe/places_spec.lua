local places = require("resty.switchboard.observe.places")
local dict = ngx.shared.switchboard_state

local function sorted(list)
  table.sort(list)
  return list
end

describe("texts that are kept in places", function()
  before_each(function() dict:flush_all() end)

  it("can be listed, each once, however often they are kept", function()
    for _ = 1, 3 do
      for i = 1, 10 do places.keep(dict, "list", 16, "text " .. i, 10) end
    end
    assert.equal(10, #places.kept(dict, "list", 16))
    assert.same({}, places.kept(dict, "another", 16))
  end)

  it("are listed once also where a place before theirs has become free", function()
    local start = ngx.crc32_short("mine") % 4
    dict:set("list:" .. start, "other", 10)
    places.keep(dict, "list", 4, "mine", 10)
    dict:delete("list:" .. start)
    places.keep(dict, "list", 4, "mine", 10)
    assert.same({ "mine" }, places.kept(dict, "list", 4))
  end)

  it("go when their time is over, and stay when they are kept again", function()
    places.keep(dict, "list", 4, "a", 0.05)
    places.keep(dict, "list", 4, "b", 0.05)
    places.keep(dict, "list", 4, "b", 10)
    ngx.sleep(0.1)
    assert.same({ "b" }, places.kept(dict, "list", 4))
  end)

  it("find no place beyond the last one", function()
    for i = 1, 20 do places.keep(dict, "list", 4, "text " .. i, 10) end
    assert.same({ "text 1", "text 2", "text 3", "text 4" }, sorted(places.kept(dict, "list", 4)))
  end)
end)
