#include "perwatt/measure/session.hpp"

#include <thread>

#include "utc_text.hpp"
#include <fmt/format.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::measure {

namespace {

constexpr Seconds kAround = seconds(5);       // of the window that power traces cover
constexpr Seconds kStopLook = seconds(0.05);  // how often waiting looks at the stop flag
constexpr Seconds kClockTolerance = seconds(0.5);
constexpr std::uint64_t kSerialsPerRun = 1ULL << 32U;

std::chrono::nanoseconds as_chrono(Seconds time) {
  return std::chrono::nanoseconds{static_cast<std::int64_t>(in_seconds(time) * 1e9)};
}

void wait_until(Instant until, const std::atomic<bool>& stop) {
  while (!stop) {
    const Seconds left = until - Instant::now();
    if (left <= Seconds{}) {
      return;
    }
    std::this_thread::sleep_for(as_chrono(std::min(left, kStopLook)));
  }
}

}  // namespace

Session::Session(MeasureSpec spec, const std::atomic<bool>& stop)
    : spec_{std::move(spec)}, stop_{stop} {
  net::FetchOptions options;
  options.timeout = spec_.client.connect_timeout + seconds(60);
  options.verify_tls = spec_.client.verify_tls;
  options.ca_file = spec_.client.ca_file;
  options.headers = spec_.client.headers;
  options.stop = &stop_;
  auto sources = make_sources();  // what is wrong in their names is told before anything is asked
  try {
    net::Fetcher fetcher{options};
    spec_.shape.api_path = spec_.endpoint.api_path;
    spec_.shape.model = choose_model(spec_.endpoint, fetcher, spec_.shape.model);
    open_power(std::move(sources));
    measure_idle();  // before the probes: they would warm the devices
    if (spec_.workload.kind != WorkloadSpec::Kind::prompt_file) {
      spec_.shape.scale = probe_prompt_scale(spec_.endpoint, fetcher, spec_.shape);
    }
  } catch (const Error&) {
    if (!stop_) {
      throw;
    }
  }
}

std::vector<std::unique_ptr<device::PowerSource>> Session::make_sources() const {
  std::vector<std::unique_ptr<device::PowerSource>> sources;
  for (const auto& text : spec_.power.sources) {
    sources.push_back(device::make_power_source(text, spec_.power.options, "--power"));
  }
  return sources;
}

void Session::open_power(std::vector<std::unique_ptr<device::PowerSource>> sources) {
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (const auto meters = sources[i]->open(); !meters) {
      throw Error{ErrorCode::peer_failed, meters.reason(), "--power " + spec_.power.sources[i],
                  "mend the source, or measure without it"};
    }
  }
  if (!sources.empty()) {
    recorder_ = std::make_unique<device::PowerRecorder>(std::move(sources), spec_.power.period);
  }
}

void Session::measure_idle() {
  if (!recorder_ || spec_.power.idle <= Seconds{}) {
    return;
  }
  recorder_->bracket();
  const Instant begin = Instant::now();
  wait_until(begin + spec_.power.idle, stop_);
  const IdleWindow window{{begin, Instant::now()}, IdleKind::before_load};
  recorder_->bracket();
  const auto traces = recorder_->traces(window.window.begin - kAround, Instant::now());
  for (const auto boundary : {Boundary::gpu, Boundary::it, Boundary::facility}) {
    auto idle = idle_power(boundary, traces, window, std::nullopt, spec_.power.rules);
    const std::string name{to_string(boundary)};
    if (idle.valid) {
      if (idle.settling) {
        idle_notes_.push_back("idle_settling: " + name +
                              ": power still fell while idle was measured; marginal energy is low");
      }
      idle_.push_back(std::move(idle));
    } else if (!idle.findings.empty() && idle.findings.front().reason != EnergyReason::no_meter) {
      idle_notes_.push_back("no_baseline: " + name + ": " +
                            std::string{to_string(idle.findings.front().reason)} + ": " +
                            idle.findings.front().detail);
    }
  }
}

std::unique_ptr<Workload> Session::make_workload(const LoadLevel& level) const {
  const auto& workload = spec_.workload;
  switch (workload.kind) {
    case WorkloadSpec::Kind::prompt_file:
      return prompt_file_workload(spec_.shape, workload.file, workload.output,
                                  spec_.duration || spec_.request_count);
    case WorkloadSpec::Kind::trace:
      return trace_workload(spec_.shape, workload.file, workload.trace_speed_ratio,
                            spec_.seed + runs_ + prompt_nonce_);
    case WorkloadSpec::Kind::synthetic:
      break;
  }
  auto synthetic = workload.synthetic;
  synthetic.seed = spec_.seed + runs_;
  // No earlier process shares a prompt with this one: a prefix cache outlives both.
  synthetic.first_serial = prompt_nonce_ + runs_ * kSerialsPerRun;
  if (level.input_tokens) {
    synthetic.input.mean = *level.input_tokens;
  }
  if (level.output_tokens && synthetic.output) {
    synthetic.output->mean = *level.output_tokens;
  }
  return synthetic_workload(spec_.shape, synthetic);
}

LoadPlan Session::make_plan(const LoadLevel& level, const Workload& workload) {
  LoadPlan plan;
  plan.server = spec_.endpoint.server;
  plan.client = spec_.client;
  plan.path = spec_.shape.api_path +
              (spec_.shape.endpoint == EndpointKind::chat ? "/chat/completions" : "/completions");
  plan.concurrency = level.concurrency ? level.concurrency : spec_.concurrency;
  plan.concurrency_ramp = spec_.concurrency_ramp;
  plan.warmup = spec_.warmup;
  plan.duration = spec_.duration;
  plan.request_count = spec_.request_count;
  plan.drain = spec_.drain;
  plan.keep_gaps = spec_.keep_gaps;
  auto arrivals = spec_.arrivals;
  arrivals.seed = spec_.seed + runs_;
  if (level.request_rate_per_second) {
    arrivals.rate_per_second = *level.request_rate_per_second;
  }
  const bool is_open_loop = arrivals.pattern != ArrivalPattern::closed_loop &&
                            spec_.workload.kind != WorkloadSpec::Kind::trace;
  if (is_open_loop) {
    if (spec_.duration) {
      arrivals.duration = spec_.warmup + *spec_.duration;
    }
    if (spec_.request_count) {
      arrivals.count = static_cast<std::int64_t>(*spec_.request_count);
    } else if (const auto size = workload.size()) {
      arrivals.count = static_cast<std::int64_t>(*size);
    }
    plan.next_offset = [process = std::make_shared<ArrivalProcess>(arrivals)] {
      const auto arrival = process->next();
      return arrival ? arrival->offset : std::nullopt;
    };
  }
  return plan;
}

RunResult Session::run(const LoadLevel& level, const std::function<void(double)>& progress) {
  const auto workload = make_workload(level);
  const auto plan = make_plan(level, *workload);
  ++runs_;
  RunResult result;
  result.clock = WallClock::now();
  if (recorder_) {
    recorder_->bracket();
  }
  auto& m = result.measurement;
  m.url = spec_.endpoint.server.origin() + spec_.endpoint.api_path;
  m.model = spec_.shape.model;
  m.label = spec_.label;
  m.load = load_text(spec_, level);
  m.unix_start = utc_text(result.clock.unix_time(Instant::now()), 3);
  if (plan.next_offset) {
    m.request_rate_per_second =
        level.request_rate_per_second.value_or(spec_.arrivals.rate_per_second);
  }
  if (plan.concurrency) {
    m.concurrency = static_cast<int>(*plan.concurrency);
  }
  if (spec_.workload.kind == WorkloadSpec::Kind::synthetic) {
    const auto& synthetic = spec_.workload.synthetic;
    m.isl_tokens = static_cast<int>(level.input_tokens.value_or(synthetic.input.mean));
    if (synthetic.output) {
      m.osl_tokens = static_cast<int>(level.output_tokens.value_or(synthetic.output->mean));
    }
  }
  m.power_cap = level.power_cap;
  m.seed = spec_.seed;
  m.slo = spec_.slo;
  result.load = run_load(plan, *workload, stop_, progress);
  m.window_start = utc_text(result.clock.unix_time(result.load.window.begin), 3);
  add_load_results(result.load, spec_.bounds, m);
  auto rules = spec_.power.rules;
  if (const Seconds jump = WallClock::now().jump_since(result.clock);
      jump > kClockTolerance || jump < -kClockTolerance) {
    m.reasons.push_back(fmt::format(
        "clock_jump: the wall clock moved by {} s during the run; intervals are measured on the "
        "monotonic clock, sources that carry wall time cannot be placed",
        significant(in_seconds(jump), 3)));
    rules.clock_jumped_sources = spec_.power.sources;
  }
  if (recorder_) {
    recorder_->bracket();
    result.traces =
        recorder_->traces(result.load.window.begin - kAround, result.load.window.end + kAround);
  }
  add_energy_results(result.load, result.traces, idle_, rules, spec_.facility, m);
  m.reasons.insert(m.reasons.end(), idle_notes_.begin(), idle_notes_.end());
  if (spec_.workload.kind != WorkloadSpec::Kind::prompt_file && !spec_.shape.scale.is_measured) {
    m.reasons.emplace_back(
        "isl_not_measured: the server reports no usage; prompts have one word for each token asked "
        "for");
  }
  add_tenants(result.load, m);
  try {
    add_quality(result.load, spec_.scorer, m);
  } catch (const Error& error) {  // the user's scorer: what was measured stands
    m.reasons.push_back(std::string{"not_scored: "} + error.what());
  }
  return result;
}

std::string load_text(const MeasureSpec& spec, const LoadLevel& level) {
  const auto concurrency = level.concurrency ? level.concurrency : spec.concurrency;
  if (spec.workload.kind == WorkloadSpec::Kind::trace) {
    return "trace " + spec.workload.file.filename().string() +
           (concurrency ? fmt::format(", cap {}", *concurrency) : "");
  }
  if (spec.arrivals.pattern == ArrivalPattern::closed_loop) {
    return fmt::format("closed loop, {} at a time", concurrency.value_or(1));
  }
  const double rate = level.request_rate_per_second.value_or(spec.arrivals.rate_per_second);
  return fmt::format("{} {} req/s{}", to_string(spec.arrivals.pattern), shortest(rate),
                     concurrency ? fmt::format(", cap {}", *concurrency) : "");
}

}  // namespace perwatt::measure
