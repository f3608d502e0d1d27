local keys = require("resty.switchboard.schema.keys")
local watched = require("resty.switchboard.schema.watched")

local FORMATS = { "{kind}:{name}", "p:{kind}:{name}", "sb:{kind}:{{name}}", "sb/{name}/{kind}", "switchboard:{kind}:{name}" }

describe("a changed key", function()
  it("means the name that it was made of, in every format", function()
    for _, text in ipairs(FORMATS) do
      local format = keys.parse_key_format(text)
      for _, kind in ipairs { "backends", "instances", "route", "paths" } do
        for _, name in ipairs { "app.example.com", "*.example.com", "*", "@pool", "fd00::1", "app.example.com/api" } do
          assert.equal(name, watched.name_of_key(format, keys.key(format, kind, name)))
        end
      end
    end
  end)

  it("of somebody else means none", function()
    for _, text in ipairs(FORMATS) do
      local format = keys.parse_key_format(text)
      for _, key in ipairs { "", "session:1", "backends", "backends:", "p:backends", "sb:backends:x}", "switchboard:wiped" } do
        local name = watched.name_of_key(format, key)
        assert.is_true(name == nil or keys.key(format, "backends", name) == key, key)
      end
    end
  end)

  it("begins with one of the prefixes, none of which begins with another", function()
    for _, text in ipairs(FORMATS) do
      local format = keys.parse_key_format(text)
      local prefixes = watched.prefixes(format, { "switchboard:wiped" })
      for _, kind in ipairs { "backends", "instances", "route", "paths" } do
        local key, found = keys.key(format, kind, "a.example"), 0
        for _, prefix in ipairs(prefixes) do
          if key:sub(1, #prefix) == prefix then found = found + 1 end
        end
        assert.equal(1, found, text)
      end
      for i, one in ipairs(prefixes) do
        for j, other in ipairs(prefixes) do
          assert.is_true(i == j or one:sub(1, #other) ~= other)
        end
      end
    end
  end)

  it("may begin with anything where the name comes first, and then nothing is watched", function()
    assert.same({}, watched.prefixes(keys.parse_key_format("{name}:{kind}"), { "switchboard:wiped" }))
  end)
end)
