-- Rows of a sheet, as specs fill them.

local sheet = require("resty.switchboard.observe.sheet")

local WIDTH = sheet.NUMBERS_OF_ROW

local _M = {}

--- Adds counts to the row of a name; nil: to the rest.
function _M.add_row(section, name, busy, counts)
  local row = name == nil and 0 or section.rows[name] or sheet.append(section, name)
  local numbers, first = section.numbers, row * WIDTH
  numbers[first] = numbers[first] + busy
  for i = 1, WIDTH - 1 do numbers[first + i] = numbers[first + i] + counts[i] end
end

return _M
