// The shipped measured profiles, and random pipelines for comparisons with oracles.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "perwatt/base/file.hpp"
#include "perwatt/training/schedule.hpp"

namespace perwatt::training {

inline const std::string kTrainingData = std::string{PERWATT_SOURCE_DIR} + "/tests/data/training/";

/// Of how many cases a sanitized build, some 40 times slower, tries one.
#ifdef PERWATT_SANITIZED
inline constexpr int kThinning = 10;
#else
inline constexpr int kThinning = 1;
#endif

inline constexpr double kA100BlockingWatts = 83.64;
inline constexpr double kA40BlockingWatts = 70.38;

inline Profile measured_profile(const std::string& model, const std::string& gpu) {
  const auto path = kTrainingData + model + "+" + gpu + "_bf16.csv";
  return read_profile(read_file(path), path);
}

inline PipelineShape shape_of(int stages, int microbatches, const std::string& schedule = "1f1b",
                              double blocking_watts = kA100BlockingWatts) {
  PipelineShape shape;
  shape.stages = stages;
  shape.microbatches = microbatches;
  shape.schedule = parse_schedule(schedule, "test");
  shape.blocking_power = watts(blocking_watts);
  return shape;
}

inline Pipeline gpt3_a100(int microbatches) {
  return make_pipeline(measured_profile("gpt3-175b", "a100_sxm"), shape_of(8, microbatches));
}

using Random = std::mt19937_64;

inline int random_whole(Random& random, int low, int high) {
  return static_cast<int>(random() % static_cast<unsigned>(high - low + 1)) + low;
}

inline double random_share(Random& random) {
  return static_cast<double>(random() >> 11) * 0x1.0p-53;
}

/// Rows of one operation: 1 to `most` settings at random, some of them dominated.
inline std::vector<ProfileRow> random_rows(Random& random, int stage,
                                           const std::string& instruction, int most) {
  std::vector<ProfileRow> rows;
  const int count = random_whole(random, 1, most);
  const bool is_whole = random_whole(random, 0, 1) == 0;  // ties everywhere
  for (int i = 0; i < count; ++i) {
    ProfileRow row;
    row.stage = stage;
    row.instruction = instruction;
    row.knob.frequency_mhz = 1000 + 15 * i;
    row.time = seconds(is_whole ? random_whole(random, 1, 4) : 0.01 + 4 * random_share(random));
    row.energy = Joules::from_base(is_whole ? random_whole(random, 1, 40)
                                            : 40 / row.time.in_base() * random_share(random));
    rows.push_back(row);
  }
  return rows;
}

/// A graph of `count` operations on one stage: each pair in order depends with a chance that makes
/// chains, layers and everything between.
inline Pipeline random_graph(Random& random, int count, int most_options) {
  Pipeline pipeline;
  pipeline.stages = 1;
  pipeline.blocking_power = watts(20);
  pipeline.order.emplace_back();
  const double density = 0.1 + 0.5 * random_share(random);
  for (int i = 0; i < count; ++i) {
    pipeline.works.push_back(
        make_work(random_rows(random, 0, "forward", most_options), pipeline.blocking_power));
    pipeline.operations.push_back({static_cast<std::uint32_t>(i), i});
    pipeline.order.back().push_back(static_cast<std::uint32_t>(i));
    for (int before = 0; before < i; ++before) {
      if (random_share(random) < density) {
        pipeline.dependencies.push_back({static_cast<std::uint32_t>(before),
                                         static_cast<std::uint32_t>(i),
                                         seconds(random_share(random) < 0.2 ? 0.01 : 0.0)});
      }
    }
  }
  return pipeline;
}

/// Series and parallel compositions, taken apart at random.
inline Pipeline random_series_parallel(Random& random, int count, int most_options) {
  auto pipeline = random_graph(random, count, most_options);
  pipeline.dependencies.clear();
  const auto link = [&](auto&& self, int first, int last) -> void {
    if (last - first < 2) {
      return;
    }
    const int cut = random_whole(random, first + 1, last - 1);
    self(self, first, cut);
    self(self, cut, last);
    if (random_whole(random, 0, 1) == 0) {
      for (int before = first; before < cut; ++before) {
        for (int after = cut; after < last; ++after) {
          pipeline.dependencies.push_back(
              {static_cast<std::uint32_t>(before), static_cast<std::uint32_t>(after), Seconds{}});
        }
      }
    }
  };
  link(link, 0, count);
  return pipeline;
}

/// Layers of operations, each of which waits for one to three of the layer before.
inline Pipeline random_layers(Random& random, int layers, int width, int most_options) {
  auto pipeline = random_graph(random, layers * width, most_options);
  pipeline.dependencies.clear();
  for (int layer = 1; layer < layers; ++layer) {
    for (int i = 0; i < width; ++i) {
      for (int link = random_whole(random, 1, 3); link > 0; --link) {
        pipeline.dependencies.push_back(
            {static_cast<std::uint32_t>((layer - 1) * width + random_whole(random, 0, width - 1)),
             static_cast<std::uint32_t>(layer * width + i), Seconds{}});
      }
    }
  }
  return pipeline;
}

/// One of the schedules over random settings.
inline Pipeline random_schedule(Random& random) {
  const int stages = random_whole(random, 1, 4);
  const int microbatches = stages * random_whole(random, 1, 2);
  static const std::vector<std::string> kSchedules = {"1f1b", "interleaved:2", "gpipe",
                                                      "early-recompute", "zero-bubble"};
  Profile profile;
  for (int stage = 0; stage < stages; ++stage) {
    for (const auto* instruction : {"backward", "forward"}) {
      const auto rows = random_rows(random, stage, instruction, 6);
      profile.rows.insert(profile.rows.end(), rows.begin(), rows.end());
    }
  }
  auto shape = shape_of(stages, microbatches, kSchedules[random() % kSchedules.size()], 20);
  shape.transfer = seconds(random_share(random) < 0.5 ? 0.0 : 0.003);
  shape.tail = seconds(random_share(random) < 0.5 ? 0.0 : 0.02);
  return make_pipeline(profile, shape);
}

}  // namespace perwatt::training
