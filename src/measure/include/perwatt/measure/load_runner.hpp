// Puts a load on an endpoint and records what happens to every request.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "perwatt/base/instant.hpp"
#include "perwatt/measure/energy.hpp"
#include "perwatt/measure/log_histogram.hpp"
#include "perwatt/measure/measurement.hpp"
#include "perwatt/measure/request_record.hpp"
#include "perwatt/measure/workload.hpp"
#include "perwatt/net/stream_client.hpp"
#include "perwatt/net/url.hpp"

namespace perwatt::measure {

/// When requests are sent. Open loop: at the times of `next_offset`, or of a timed workload,
/// whatever the server does. Closed loop (neither is given): `concurrency` users, each with one
/// request at a time. In open loop `concurrency` is a cap: requests wait for it, and their latency
/// from the intended time counts the wait.
struct LoadPlan {
  net::Url server;
  net::ClientOptions client;
  std::string path;                                     // of the POST
  std::function<std::optional<Seconds>()> next_offset;  // since the start, not falling
  std::optional<std::size_t> concurrency;
  Seconds concurrency_ramp;  // closed loop: users start evenly over this time
  Seconds warmup;
  std::optional<Seconds> duration;  // of the window
  std::optional<std::size_t>
      request_count;            // sessions to start; without both, as many as the workload has
  Seconds drain = seconds(60);  // for requests under way at the end of the window
  bool keep_gaps = false;
};

/// What was seen. The window is the steady part: it begins after the warm-up, in closed loop once
/// every user's first answer has begun (ML.ENERGY benchmark), without a pause in the load; it ends
/// after `duration`, or when the last request was sent and a user is idle (closed loop), or with
/// the last answer (open loop).
struct LoadRun {
  std::vector<RequestRecord> records;  // in order of intended time, warm-up included
  Window window;
  bool is_steady = true;  // false: the window could not be cut as above and is the whole run
  Instant begin;
  Instant end;
  RunEnd end_reason = RunEnd::complete;
  std::string end_detail;
  LogHistogram content_gaps;  // of chunks inside the window
  /// Inside the window: handed to the kernel - intended, of requests not held back; and an upper
  /// bound of how long arrived bytes waited to be read.
  LogHistogram schedule_error;
  LogHistogram lag;
  Seconds longest_stall;
  /// Content chunks that arrived in each second of the window.
  std::vector<std::int64_t> chunks_per_second;
  double mean_concurrency = 0.0;  // requests under way, mean over the window
};

/// Runs until the plan's end, until `stop` is set (then cancels what is under way), or until the
/// server is lost. `progress` is called about ten times a second with the share done. A server
/// that cannot be reached at all is a lost one.
[[nodiscard]] LoadRun run_load(const LoadPlan& plan, Workload& workload,
                               const std::atomic<bool>& stop,
                               const std::function<void(double)>& progress);

}  // namespace perwatt::measure
