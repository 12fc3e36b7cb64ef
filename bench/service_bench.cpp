// Simulated inference services: requests per CPU second of the request level, steps per CPU second
// of the mass level, and how far their means are apart.
//
//   service_bench
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <optional>

#include "perwatt/simulate/fluid_service.hpp"
#include "perwatt/simulate/service.hpp"

namespace {

using namespace perwatt;
using namespace perwatt::simulate;

constexpr std::int64_t kRequests = 400000;
constexpr int kFluidSteps = 2000000;

double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

struct Case {
  const char* name;
  ServiceSetup setup;
  TokenLaws laws;
  int instances;               // that prefill
  double capacity_per_second;  // of all
};

InstanceModel instance(double prefill_rate, double step_base, double step_per_sequence, int most) {
  InstanceModel model;
  model.gpus = 4;
  model.prefill_rate = tokens_per_second(prefill_rate);
  model.step_base = seconds(step_base);
  model.step_per_sequence = seconds(step_per_sequence);
  model.most_sequences = most;
  model.power = {watts(120), watts(900), watts(320), watts(2), most};
  return model;
}

Case aggregated(const char* name, int instances, const InstanceModel& model,
                const TokenLaws& laws) {
  ServiceSetup setup;
  setup.aggregated = PoolSetup{model, instances};
  const double prefill = in_tokens(laws.input.mean()) / in_tokens_per_second(model.prefill_rate);
  const Seconds step = model.step_base + model.step_per_sequence * model.most_sequences;
  const double decode =
      (in_tokens(laws.output.mean()) - 1) * in_seconds(step) / model.most_sequences;
  return {name, setup, laws, instances, instances / (prefill + decode)};
}

Case pooled(const char* name, int prefillers, int decoders, const InstanceModel& model,
            const TokenLaws& laws) {
  ServiceSetup setup;
  setup.prefill = PoolSetup{model, prefillers};
  setup.decode = PoolSetup{model, decoders};
  const double prefill = in_tokens(laws.input.mean()) / in_tokens_per_second(model.prefill_rate);
  const Seconds step = model.step_base + model.step_per_sequence * model.most_sequences;
  const double decode =
      (in_tokens(laws.output.mean()) - 1) * in_seconds(step) / model.most_sequences;
  return {name, setup, laws, prefillers, std::min(prefillers / prefill, decoders / decode)};
}

struct Means {
  double output_per_second = 0;
  double request_seconds = 0;
  double watts = 0;
};

Joules take_energy(InferenceService& service, const ServiceSetup& setup) {
  Joules sum;
  for (const Pool pool : {Pool::aggregated, Pool::prefill, Pool::decode}) {
    if (setup.has(pool)) {
      sum += service.take_use(pool).energy(setup.pool(pool).model, std::nullopt);
    }
  }
  return sum;
}

Means by_request(const Case& of, double rate, double& requests_per_cpu_second) {
  InferenceService service{of.setup};
  ArrivalPlan plan;
  plan.rate_per_second = rate;
  plan.count = kRequests;
  plan.seed = 1;
  ServiceFeed feed{RequestStream::of_arrivals(plan, of.laws)};
  const double all_seconds = kRequests / rate * 0.99;
  const double skipped_seconds = all_seconds / 10;
  const double start = cpu_seconds();
  feed.advance(service, Instant{} + seconds(skipped_seconds));
  const LatencyRecord skipped = service.take_record();
  static_cast<void>(take_energy(service, of.setup));
  feed.advance(service, Instant{} + seconds(all_seconds));
  const LatencyRecord record = service.take_record();
  requests_per_cpu_second =
      static_cast<double>(skipped.completed_requests + record.completed_requests) /
      (cpu_seconds() - start);
  const double counted_seconds = all_seconds - skipped_seconds;
  return {static_cast<double>(record.output_tokens) / counted_seconds,
          in_seconds(*record.request.mean()),
          in_watts(take_energy(service, of.setup) / seconds(counted_seconds))};
}

Means by_fluid(const Case& of, double rate) {
  FluidService service{of.setup, of.laws};
  FluidStep step;
  for (int i = 0; i < 2000; ++i) {
    step = service.step(seconds(1), rate);
  }
  return {in_tokens(step.output_tokens), in_seconds(*step.request),
          in_watts(step.energy / seconds(1))};
}

void print_case(const Case& of) {
  std::printf(
      "%s\n  load  requests/CPU s   tokens/s  request s    watts (mass over request level)\n",
      of.name);
  for (const double load : {0.3, 0.5, 0.7, 0.9}) {
    const double rate = load * of.capacity_per_second;
    double speed = 0;
    const Means request = by_request(of, rate, speed);
    const Means fluid = by_fluid(of, rate);
    std::printf("  %.1f   %14.0f   %+7.2f %%  %+7.2f %%  %+7.2f %%\n", load, speed,
                100 * (fluid.output_per_second / request.output_per_second - 1),
                100 * (fluid.request_seconds / request.request_seconds - 1),
                100 * (fluid.watts / request.watts - 1));
  }
}

void print_fluid_speed(const Case& of) {
  FluidService service{of.setup, of.laws};
  const double start = cpu_seconds();
  double completed = 0;
  for (int i = 0; i < kFluidSteps; ++i) {
    completed += service.step(seconds(1), of.capacity_per_second * 0.7).completed_requests;
  }
  std::printf("mass level, %s: %.0f steps/CPU s (%.3g requests)\n", of.name,
              kFluidSteps / (cpu_seconds() - start), completed);
}

}  // namespace

int main() {
  const TokenLaw chat_input{TokenLaw::Kind::lognormal, tokens(1000), 0.5};
  const TokenLaw chat_output{TokenLaw::Kind::exponential, tokens(200), 0};
  const TokenLaws chat{chat_input, chat_output};
  const TokenLaws long_context{{TokenLaw::Kind::constant, tokens(8000), 0},
                               {TokenLaw::Kind::lognormal, tokens(1000), 0.7}};
  const InstanceModel small = instance(20000, 0.008, 0.0001, 64);
  const InstanceModel large = instance(60000, 0.012, 0.00005, 256);
  const std::array cases{
      aggregated("aggregated, 8 instances", 8, small, chat),
      aggregated("aggregated, 64 instances", 64, small, chat),
      aggregated("aggregated, 16 instances, long context", 16, large, long_context),
      pooled("pools of 8 and 16 instances", 8, 16, small, chat),
      pooled("pools of 16 and 16 instances, long context", 16, 16, large, long_context)};
  for (const Case& one : cases) {
    print_case(one);
  }
  print_fluid_speed(cases[1]);
  print_fluid_speed(cases[3]);
}
