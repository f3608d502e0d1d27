local options = require("resty.switchboard.config.options").OPTIONS

--- The README's table as config/options would write it, and as it is.
local function expected_rows()
  local rows = {}
  for i, option in ipairs(options) do
    local default = (option.default or "") ~= "" and "`" .. option.default .. "`" or ""
    rows[i] = ("| `%s` | %s | %s |"):format(option.name, default, option.describe):gsub("  +", " ")
  end
  return table.concat(rows, "\n")
end

local function rows_of_readme()
  local path = debug.getinfo(1, "S").source:match("^@(.*)spec/config/") .. "README.md"
  local rows, inside = {}, false
  for line in io.lines(path) do
    if line:find("^## ") then
      inside = line == "## Options"
    elseif inside and line:find("^| `") then
      rows[#rows + 1] = line:gsub("  +", " ")
    end
  end
  return table.concat(rows, "\n")
end

describe("the README", function()
  it("lists the options as they are", function()
    assert.equal(expected_rows(), rows_of_readme())
  end)
end)
