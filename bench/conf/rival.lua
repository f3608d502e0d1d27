-- Takes a tenth of a core, 100 us at a time and a thousand times a second, for so many seconds.
local ffi = require "ffi"
ffi.cdef "int usleep(unsigned int microseconds);"
local seconds = tonumber(arg[1])
local ends = os.time() + seconds
while os.time() < ends do
  local began = os.clock()
  while os.clock() - began < 0.0001 do end
  ffi.C.usleep(900)
end
