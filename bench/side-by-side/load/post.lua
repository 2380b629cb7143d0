-- wrk's script: POST requests with BODY bytes (from the environment; with JSON=1 a text of that length in JSON; with HEADS=differ each has a header that none before had), and one line of JSON at the end, times in microseconds.
wrk.method = "POST"
wrk.body = string.rep("x", tonumber(os.getenv("BODY")))
wrk.headers["Content-Type"] = "application/octet-stream"
if os.getenv("JSON") == "1" then
  wrk.body = '"' .. wrk.body .. '"'
  wrk.headers["Content-Type"] = "application/json"
end
if os.getenv("HEADS") == "differ" then
  local sent = 0
  request = function()
    sent = sent + 1
    wrk.headers["Traceparent"] = string.format("00-%032x-%016x-01", sent, sent)
    return wrk.format()
  end
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format(
    'WRK {"requests":%d,"durationUs":%d,"bytes":%d,"p50Us":%d,"p99Us":%d,"p999Us":%d,"maxUs":%d,"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max, e.connect, e.read, e.write, e.status, e.timeout))
end
