-- wrk: hosts in turn, and at the end one line that bench/run.ts reads.
local hosts = tonumber(os.getenv("HOSTS"))
local i = 0

request = function()
  i = (i + 1) % hosts
  return wrk.format("GET", "/", { Host = "app-" .. i .. ".bench.example" })
end

done = function(summary, latency)
  local e = summary.errors
  print(("RESULT %d %d %d %d %d"):format(summary.requests, summary.duration, e.status,
    e.connect + e.read + e.write + e.timeout, latency:percentile(99)))
end
