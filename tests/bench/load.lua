-- wrk's side of the load: makes the bodies, stops in order, tells what it saw as one line of JSON.
--
-- Each alert has a number in its title. One in BENCH_NEW_EVERY is new (10: 90 % duplicates; 1: all distinct); the others repeat
-- one of the newest thousand. After BENCH_SECONDS nothing more is sent, every answer under way is read, and wrk is told to end:
-- were it cut off, alerts would be stored whose answers nobody has seen, and no count could be held against another.

local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long seconds; long nanoseconds; } bench_time;
  int clock_gettime(int clock, bench_time *now);
  int getpid(void);
  int kill(int process, int signal);
]]

local MONOTONIC, INTERRUPT, NEVER, KNOWN = 1, 2, 3600000, 1000
local seconds = tonumber(os.getenv("BENCH_SECONDS"))
local connections = tonumber(os.getenv("BENCH_CONNECTIONS"))
local new_every = tonumber(os.getenv("BENCH_NEW_EVERY"))
local first = tonumber(os.getenv("BENCH_FIRST"))
local size = tonumber(os.getenv("BENCH_SIZE"))
local opening, closing = os.getenv("BENCH_OPENING"), os.getenv("BENCH_CLOSING")
local before, after = os.getenv("BENCH_BEFORE"), os.getenv("BENCH_AFTER")
local length = #opening + size * (#before + 12 + #after) + size - 1 + #closing
local head = "POST " .. os.getenv("BENCH_PATH")
  .. " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAuthorization: Bearer "
  .. os.getenv("BENCH_KEY") .. "\r\nContent-Length: " .. length .. "\r\n\r\n" .. opening

local sent, known, idle, ends = 0, 0, 0, nil
local at = ffi.new("bench_time")

local function now()
  ffi.C.clock_gettime(MONOTONIC, at)
  return tonumber(at.seconds) + tonumber(at.nanoseconds) / 1e9
end

-- Called before each request: how many milliseconds to wait.
function delay()
  ends = ends or now() + seconds
  if now() < ends then
    return 0
  end
  idle = idle + 1
  if idle == connections then
    ffi.C.kill(ffi.C.getpid(), INTERRUPT)
  end
  return NEVER
end

local function alert()
  local number
  if known == 0 or sent % new_every == 0 then
    known = known + 1
    number = known
  else
    number = known - math.random(0, math.min(known, KNOWN) - 1)
  end
  sent = sent + 1
  return before .. string.format("%012d", first + number) .. after
end

function request()
  if size == 1 then
    return head .. alert() .. closing
  end
  local alerts = {}
  for place = 1, size do
    alerts[place] = alert()
  end
  return head .. table.concat(alerts, ",") .. closing
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "refused": %d, "lost": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f}\n',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
