// The whole time-energy frontier: CPU of ours, of the textbook way in the same run, and beside
// lowtime's recorded CPU on the same profile; growth with the number of operations.
//
//   training_bench [SECONDS]            most CPU seconds for one run of the textbook way; 20 by
//                                       default
//   training_bench STAGES MICROBATCHES  one size alone, as the CSV row that training_growth.py
//                                       asks for: operations,dependencies,breakpoints,cpu_seconds,
//                                       peak_bytes
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "plain_parametric_flow.hpp"

#include "perwatt/base/file.hpp"
#include "perwatt/training/frontier.hpp"
#include "perwatt/training/schedule.hpp"

namespace {

using namespace perwatt::training;

/// lowtime v0.3.0, artifact order, 1 ms: solver CPU seconds (facts: 2-core machine; bench note).
const std::map<int, double> kLowtimeSeconds = {{12, 7.32}, {24, 28.67}, {48, 155.95}};

double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

/// The profile for twice the stages: each in two halves.
Profile halved(const Profile& profile) {
  Profile result = profile;
  result.rows.clear();
  for (auto row : profile.rows) {
    row.time = row.time * 0.5;
    row.energy = row.energy * 0.5;
    row.stage *= 2;
    result.rows.push_back(row);
    row.stage += 1;
    result.rows.push_back(row);
  }
  std::stable_sort(result.rows.begin(), result.rows.end(),
                   [](const ProfileRow& a, const ProfileRow& b) {
                     return std::tie(a.stage, a.instruction) < std::tie(b.stage, b.instruction);
                   });
  return result;
}

Pipeline pipeline_of(const Profile& profile, int stages, int microbatches) {
  PipelineShape shape;
  shape.stages = stages;
  shape.microbatches = microbatches;
  shape.blocking_power = perwatt::watts(83.64);
  return make_pipeline(stages == 16 ? halved(profile) : profile, shape);
}

/// Corners of the lower convex hull as whole picoseconds and nanowatts, in a way of its own.
perwatt::bench::PlainParametricFlow plain_flow(const Pipeline& pipeline) {
  const auto operations = static_cast<int>(pipeline.operations.size());
  perwatt::bench::PlainParametricFlow flow{2 + 2 * operations};
  constexpr auto kInfinite = perwatt::bench::PlainParametricFlow::kInfinite;
  for (int i = 0; i < operations; ++i) {
    const auto& options = pipeline.work_of(static_cast<std::uint32_t>(i)).options;
    std::size_t at = 0;
    std::int64_t before = 0;
    while (at + 1 < options.size()) {
      std::size_t best = at + 1;
      double least = 0;
      for (auto k = at + 1; k < options.size(); ++k) {
        const double slope = (options[k].effective_energy - options[at].effective_energy) /
                             (options[at].time - options[k].time) / perwatt::watts(1);
        if (k == at + 1 || slope <= least) {
          least = slope;
          best = k;
        }
      }
      const auto capacity = std::llround(least * 1e9);
      flow.add_arc(2 + 2 * i, 3 + 2 * i, std::llround(options[at].time.in_base() * 1e12),
                   capacity - before);
      before = capacity;
      at = best;
    }
    flow.add_arc(2 + 2 * i, 3 + 2 * i, std::llround(options[at].time.in_base() * 1e12), kInfinite);
    flow.add_arc(0, 2 + 2 * i, 0, kInfinite);
    flow.add_arc(3 + 2 * i, 1, 0, kInfinite);
  }
  for (const auto& dependency : pipeline.dependencies) {
    flow.add_arc(3 + 2 * static_cast<int>(dependency.before),
                 2 + 2 * static_cast<int>(dependency.after), 0, kInfinite);
  }
  return flow;
}

double best_of_three(const Pipeline& pipeline, std::size_t& breakpoints) {
  double best = 1e9;
  for (int i = 0; i < 3; ++i) {
    const double begin = cpu_seconds();
    breakpoints = TimeEnergyFrontier::of(pipeline).points().size();
    best = std::min(best, cpu_seconds() - begin);
  }
  return best;
}

/// Of this process since its exec; what getrusage() says may be of the process that began it.
long peak_bytes() {
  constexpr const char* kKey = "VmHWM:";
  std::ifstream status{"/proc/self/status"};
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(kKey)) {
      return std::atol(line.c_str() + std::strlen(kKey)) * 1024;
    }
  }
  return 0;
}

int print_row(const Profile& profile, int stages, int microbatches) {
  if ((stages != 8 && stages != 16) || microbatches < 1 || microbatches > kMostMicrobatches) {
    std::fprintf(stderr, "give 8 or 16 stages and some microbatches\n");
    return 2;
  }
  const auto pipeline = pipeline_of(profile, stages, microbatches);
  std::size_t breakpoints = 0;
  const double ours = best_of_three(pipeline, breakpoints);
  std::printf("%zu,%zu,%zu,%.6f,%ld\n", pipeline.operations.size(), pipeline.dependencies.size(),
              breakpoints, ours, peak_bytes());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string path =
      std::string{PERWATT_SOURCE_DIR} + "/tests/data/training/gpt3-175b+a100_sxm_bf16.csv";
  const auto profile = read_profile(perwatt::read_file(path), path);
  if (argc == 3) {
    return print_row(profile, std::atoi(argv[1]), std::atoi(argv[2]));
  }
  const double most_seconds = argc > 1 ? std::atof(argv[1]) : 20;
  std::printf("GPT-3 175B on A100, 1F1B; CPU for every breakpoint, best of 3\n");
  std::printf(
      "pipeline   operations  breakpoints    ours s  us/operation  textbook/ours  "
      "lowtime's record/ours\n");
  std::vector<std::pair<double, double>> logs;
  double plain_seconds = 0;
  for (const auto& [stages, microbatches] : std::vector<std::pair<int, int>>{{8, 12},
                                                                             {8, 24},
                                                                             {8, 48},
                                                                             {8, 96},
                                                                             {8, 192},
                                                                             {8, 512},
                                                                             {16, 128},
                                                                             {16, 256},
                                                                             {16, 512}}) {
    const auto pipeline = pipeline_of(profile, stages, microbatches);
    std::size_t breakpoints = 0;
    const double ours = best_of_three(pipeline, breakpoints);
    const auto operations = static_cast<double>(pipeline.operations.size());
    logs.emplace_back(std::log(operations), std::log(ours));
    std::printf("%2d x %-5d  %10.0f  %11zu  %8.4f  %12.2f", stages, microbatches, operations,
                breakpoints, ours, ours / operations * 1e6);
    if (plain_seconds < most_seconds / 4) {
      auto plain = plain_flow(pipeline);
      const double begin = cpu_seconds();
      const auto times = plain.breakpoints(0, 1);
      plain_seconds = cpu_seconds() - begin;
      std::printf("  %12.1fx%s", plain_seconds / ours,
                  times.size() == breakpoints ? "" : " (other breakpoints!)");
    } else {
      std::printf("  %13s", "-");
    }
    const auto recorded = stages == 8 ? kLowtimeSeconds.find(microbatches) : kLowtimeSeconds.end();
    if (recorded != kLowtimeSeconds.end()) {
      std::printf("  %20.0fx", recorded->second / ours);
    }
    std::printf("\n");
    std::fflush(stdout);
  }
  const double n = static_cast<double>(logs.size());
  double sx = 0;
  double sy = 0;
  double sxx = 0;
  double sxy = 0;
  for (const auto& [x, y] : logs) {
    sx += x;
    sy += y;
    sxx += x * x;
    sxy += x * y;
  }
  std::printf(
      "growth exponent in operations: %.3f by least squares over all rows, %.3f from the "
      "first to the last\n",
      (n * sxy - sx * sy) / (n * sxx - sx * sx),
      (logs.back().second - logs.front().second) / (logs.back().first - logs.front().first));
}
