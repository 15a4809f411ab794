-- Asks for the addresses of a file in their order, round and round, and prints one line of JSON at the end.
-- wrk ... -s tiles_load.lua URL -- FILE ACCEPT_ENCODING
-- A line of the file is a path, or a path, a tab and the entity tag to send as If-None-Match.

local requests, at = {}, 0

function init(arguments)
  local file, encoding = arguments[1], arguments[2]
  for line in io.lines(file) do
    local path, tag = line:match("^(%S+)\t(.+)$")
    local headers = { ["Accept-Encoding"] = encoding, ["If-None-Match"] = tag }
    requests[#requests + 1] = wrk.format("GET", path or line, headers)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local faults = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "bytes": %d, "p50_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f, "faults": %d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
    faults.connect + faults.read + faults.write + faults.status + faults.timeout
  ))
end
