#include "perwatt/training/schedule.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "stage_orders.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::training {

namespace {

constexpr std::int64_t kMostChunks = 64;
constexpr int kOncePerIteration = -1;
constexpr double kMostOperations = 4e6;

/// The instruction of each pass, and where its figures come from when the profile lacks it.
struct Naming {
  const char* instruction;
  const char* stand_in;  // or null
  double share;          // of the stand-in's time and energy
  const char* note;
};

const Naming& naming_of(Pass pass) {
  static const std::map<Pass, Naming> kNames = {
      {Pass::forward, {"forward", nullptr, 1, ""}},
      {Pass::backward, {"backward", nullptr, 1, ""}},
      {Pass::recompute,
       {"recompute", "forward", 1, "recompute taken as forward, of which the profile has rows"}},
      {Pass::backward_input,
       {"backward_input", "backward", 0.5, "backward_input taken as half of backward"}},
      {Pass::backward_weight,
       {"backward_weight", "backward", 0.5, "backward_weight taken as half of backward"}}};
  return kNames.at(pass);
}

class Builder {
 public:
  Builder(const Profile& profile, const PipelineShape& shape) : profile_{profile}, shape_{shape} {
    const int virtual_stages = shape.stages * shape.schedule.chunks;
    const int profiled = profile.rows.back().stage + 1;
    chunk_share_ = 1.0;
    if (profiled == shape.stages && shape.schedule.chunks > 1) {
      chunk_share_ = 1.0 / shape.schedule.chunks;
      note("each of the " + std::to_string(shape.schedule.chunks) +
           " chunks of a stage taken as an equal part of it");
    } else if (profiled > virtual_stages) {
      throw_bad_input("the profile has a stage " + std::to_string(profiled - 1) +
                          ", the pipeline " + std::to_string(virtual_stages) + " (from 0)",
                      place_of(profile.rows.back()),
                      "give --stages " + std::to_string(profiled) + ", or leave the stage out");
    }
    pipeline_.stages = shape.stages;
    pipeline_.blocking_power = shape.blocking_power;
    pipeline_.tail = shape.tail;
    pipeline_.other_knobs = profile.other_knobs;
  }

  Pipeline build() {
    for (int stage = 0; stage < shape_.stages; ++stage) {
      add_stage(stage);
    }
    link_stages();
    for (const auto& row : profile_.rows) {
      if (!used_.contains(row.instruction)) {
        note("rows of " + row.instruction + " are of no use to this schedule");
      }
    }
    return std::move(pipeline_);
  }

 private:
  using Place = std::pair<int, int>;  // virtual stage and microbatch

  [[nodiscard]] std::string place_of(const ProfileRow& row) const {
    return profile_.name + ":" + std::to_string(row.line);
  }

  void note(const std::string& text) {
    if (std::find(pipeline_.notes.begin(), pipeline_.notes.end(), text) == pipeline_.notes.end()) {
      pipeline_.notes.push_back(text);
    }
  }

  [[nodiscard]] std::span<const ProfileRow> rows_of(int stage,
                                                    const std::string& instruction) const {
    const auto is_before = [](const ProfileRow& row, const std::pair<int, std::string>& key) {
      return std::tie(row.stage, row.instruction) < std::tie(key.first, key.second);
    };
    const auto key = std::pair{stage, instruction};
    const auto first = std::lower_bound(profile_.rows.begin(), profile_.rows.end(), key, is_before);
    auto last = first;
    while (last != profile_.rows.end() && last->stage == stage &&
           last->instruction == instruction) {
      ++last;
    }
    return {first, last};
  }

  /// The profile's stage for chunk `chunk` of `stage`.
  [[nodiscard]] int profiled_stage(int stage, int chunk) const {
    return chunk_share_ < 1 ? stage : chunk * shape_.stages + stage;
  }

  std::uint32_t add_work(int stage, const std::string& instruction,
                         std::span<const ProfileRow> rows, double share) {
    auto work = make_work(rows, shape_.blocking_power, share);
    used_.insert(rows.front().instruction);
    work.stage = stage;
    work.instruction = instruction;
    pipeline_.works.push_back(std::move(work));
    return static_cast<std::uint32_t>(pipeline_.works.size() - 1);
  }

  std::uint32_t work_of(int stage, const Slot& slot) {
    const auto key = std::tuple{stage, slot.chunk, slot.pass};
    if (const auto found = works_.find(key); found != works_.end()) {
      return found->second;
    }
    const auto& naming = naming_of(slot.pass);
    const int profiled = profiled_stage(stage, slot.chunk);
    auto rows = rows_of(profiled, naming.instruction);
    double share = chunk_share_;
    if (rows.empty() && naming.stand_in != nullptr) {
      rows = rows_of(profiled, naming.stand_in);
      share *= naming.share;
      note(naming.note);
    }
    if (rows.empty()) {
      throw_bad_input("stage " + std::to_string(profiled) + " has no rows of " + naming.instruction,
                      profile_.name, "profile it, or give the number of --stages the profile has");
    }
    return works_[key] = add_work(stage, naming.instruction, rows, share);
  }

  std::uint32_t add_operation(std::uint32_t work, int microbatch) {
    pipeline_.operations.push_back({work, microbatch});
    const auto operation = static_cast<std::uint32_t>(pipeline_.operations.size() - 1);
    auto& order = pipeline_.order.back();
    if (!order.empty()) {
      pipeline_.dependencies.push_back({order.back(), operation, Seconds{}});
    }
    order.push_back(operation);
    return operation;
  }

  /// An operation that only profiles with rows of it have. Returns `otherwise` without one.
  std::uint32_t add_optional(int stage, int chunk, const std::string& instruction, int microbatch,
                             std::uint32_t otherwise) {
    const auto key = std::tuple{stage, chunk, instruction};
    auto found = optional_works_.find(key);
    if (found == optional_works_.end()) {
      const auto rows = rows_of(profiled_stage(stage, chunk), instruction);
      found =
          optional_works_
              .emplace(key, rows.empty()
                                ? std::nullopt
                                : std::optional{add_work(stage, instruction, rows, chunk_share_)})
              .first;
    }
    return found->second ? add_operation(*found->second, microbatch) : otherwise;
  }

  void add_stage(int stage) {
    pipeline_.order.emplace_back();
    add_once_per_iteration(stage, "parameter_collective");
    for (const auto& slot : order_of_stage(shape_, stage)) {
      const auto first = add_operation(work_of(stage, slot), slot.microbatch);
      const bool is_forward = slot.pass == Pass::forward;
      const bool is_backward = slot.pass == Pass::backward || slot.pass == Pass::backward_input;
      const Place place{slot.chunk * shape_.stages + stage, slot.microbatch};
      if (is_forward) {
        forwards_[place] = {
            first, add_optional(stage, slot.chunk, "forward_collective", slot.microbatch, first)};
      } else if (is_backward) {
        backwards_[place] = {
            first, add_optional(stage, slot.chunk, "backward_collective", slot.microbatch, first)};
      }
    }
    add_once_per_iteration(stage, "gradient_collective");
    add_once_per_iteration(stage, "optimizer");
  }

  void add_once_per_iteration(int stage, const std::string& instruction) {
    for (int chunk = 0; chunk < shape_.schedule.chunks; ++chunk) {
      add_optional(stage, chunk, instruction, kOncePerIteration, 0);
    }
  }

  /// Activations go up the virtual stages, gradients down.
  void link_stages() {
    const auto transfer = shape_.stages == 1 ? Seconds{} : shape_.transfer;
    for (const auto& [place, ends] : forwards_) {
      if (const auto next = forwards_.find({place.first + 1, place.second});
          next != forwards_.end()) {
        pipeline_.dependencies.push_back({ends.last, next->second.first, transfer});
      }
    }
    for (const auto& [place, ends] : backwards_) {
      if (const auto next = backwards_.find({place.first - 1, place.second});
          next != backwards_.end()) {
        pipeline_.dependencies.push_back({ends.last, next->second.first, transfer});
      }
    }
  }

  /// First and last operation of a pass.
  struct Ends {
    std::uint32_t first;
    std::uint32_t last;
  };

  const Profile& profile_;
  const PipelineShape& shape_;
  double chunk_share_ = 1.0;
  Pipeline pipeline_;
  std::set<std::string> used_;  // instructions of the profile
  std::map<std::tuple<int, int, Pass>, std::uint32_t> works_;
  std::map<std::tuple<int, int, std::string>, std::optional<std::uint32_t>> optional_works_;
  std::map<Place, Ends> forwards_;
  std::map<Place, Ends> backwards_;
};

}  // namespace

Schedule parse_schedule(std::string_view text, const std::string& where) {
  static const std::map<std::string, ScheduleKind, std::less<>> kNames = {
      {"1f1b", ScheduleKind::one_forward_one_backward},
      {"gpipe", ScheduleKind::gpipe},
      {"early-recompute", ScheduleKind::early_recompute},
      {"zero-bubble", ScheduleKind::zero_bubble}};
  if (const auto found = kNames.find(text); found != kNames.end()) {
    return {found->second, 1};
  }
  constexpr std::string_view kInterleaved = "interleaved:";
  if (text.starts_with(kInterleaved)) {
    const auto chunks = parse_integer(text.substr(kInterleaved.size()));
    if (chunks && *chunks >= 1 && *chunks <= kMostChunks) {
      return {ScheduleKind::interleaved, static_cast<int>(*chunks)};
    }
  }
  throw_bad_input("'" + printable(text) + "' is no schedule", where,
                  "give 1f1b, interleaved:V (V chunks per stage, to 64), gpipe, early-recompute or "
                  "zero-bubble");
}

void check_size(const PipelineShape& shape, const std::string& where) {
  if (2.0 * shape.stages * shape.microbatches * shape.schedule.chunks > kMostOperations) {
    throw_bad_input("more than 4 million operations", where, "give fewer stages or microbatches");
  }
}

Pipeline make_pipeline(const Profile& profile, const PipelineShape& shape) {
  if (shape.schedule.kind == ScheduleKind::interleaved && shape.microbatches % shape.stages != 0) {
    throw_bad_input(std::to_string(shape.microbatches) + " microbatches go round in groups of " +
                        std::to_string(shape.stages) + " stages",
                    "interleaved schedule", "give a multiple of the stages, or another schedule");
  }
  return Builder{profile, shape}.build();
}

}  // namespace perwatt::training
