// A measurement with every part filled in, for tests.
#pragma once

#include "perwatt/measure/measurement.hpp"

namespace perwatt::measure {

inline Quantiles sample_quantiles(double median) {
  Quantiles q;
  q.mean = seconds(1.1 * median);
  q.p50 = seconds(median);
  q.p75 = seconds(1.5 * median);
  q.p90 = seconds(2 * median);
  q.p95 = seconds(2.5 * median);
  q.p99 = seconds(4 * median);
  q.max = seconds(5 * median);
  q.count = 600;
  return q;
}

/// 8 GPUs at 600 W for 60 s: 288 kJ for 120,000 output and 120,000 input tokens.
inline Measurement sample_measurement() {
  Measurement m;
  m.url = "http://127.0.0.1:8000";
  m.model = "meta-llama/Llama-3.3-70B-Instruct";
  m.label = "fp8";
  m.load = "closed loop, concurrency 32";
  m.unix_start = "2026-11-20T10:00:00Z";
  m.concurrency = 32;
  m.isl_tokens = 1024;
  m.osl_tokens = 1024;
  m.seed = 7;
  m.slo.ttft = seconds(2);
  m.slo.tpot = seconds(0.02);
  m.valid = true;
  m.power_valid = true;
  m.window = seconds(60);
  m.whole = seconds(75);
  m.requests.sent = 120;
  m.requests.ok = 118;
  m.requests.failed = 2;
  m.requests.failed_by_outcome["http_error"] = 2;
  m.tokens.input = 120'000;
  m.tokens.output = 120'000;
  m.tokens.good = 90'000;
  m.tokens.input_known = true;
  m.tokens.output_by_usage = true;
  m.output_rate = tokens_per_second(2000);
  m.input_rate = tokens_per_second(2000);
  m.goodput = tokens_per_second(1500);
  m.good_request_ratio = 0.75;
  m.mean_concurrency = 31.5;
  m.latencies.ttft = sample_quantiles(0.2);
  m.latencies.ttft_from_intended = sample_quantiles(0.25);
  m.latencies.ttfo = sample_quantiles(0.3);
  m.latencies.tpot = sample_quantiles(0.016);
  m.latencies.itl = sample_quantiles(0.015);
  m.latencies.e2e = sample_quantiles(16);
  m.latencies.e2e_from_intended = sample_quantiles(16.1);
  m.latencies.relative_error_ratio = 0.0039;
  EnergyResult energy;
  energy.account.boundary = Boundary::gpu;
  energy.account.valid = true;
  energy.account.energy = Joules::from_base(288'000);
  energy.account.half_width = Joules::from_base(2'880);
  energy.account.by_counter = Joules::from_base(288'000);
  energy.account.by_integral = Joules::from_base(287'000);
  energy.account.meters = 8;
  energy.account.findings.push_back(
      {EnergyReason::accuracy_unknown, false, "8 meters state no accuracy"});
  energy.idle_power = watts(800);
  energy.marginal = Joules::from_base(240'000);
  energy.joules_per_output_token = Estimate{2.4, 2.376, 2.424};
  energy.joules_per_total_token = Estimate{1.2, 1.188, 1.212};
  energy.marginal_joules_per_output_token = Estimate{2.0, 1.97, 2.03};
  energy.output_tokens_per_joule = 1 / 2.4;
  m.energy.push_back(energy);
  m.tenants.push_back({"team-a", 60'000, 60'000, Joules::from_base(144'000)});
  m.client.lag_p99 = seconds(0.0004);
  m.client.schedule_error_p99 = seconds(0.0002);
  m.client.longest_stall = seconds(0.002);
  return m;
}

}  // namespace perwatt::measure
