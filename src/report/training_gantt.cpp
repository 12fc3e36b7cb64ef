// When each stage of a training pipeline does what, at which power.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "text.hpp"
#include "training_parts.hpp"
#include <fmt/format.h>

#include "perwatt/base/text.hpp"

namespace perwatt::report {

namespace {

constexpr std::size_t kMostOperations = 1600;  // drawn per iteration, in one chart or in two halves
constexpr std::size_t kMostStages = 48;        // drawn
constexpr double kMostRowHeight = 26;          // pixels
constexpr double kLeastRowHeight = 12;
constexpr double kPanelHeight = 260;  // what rows share where they can

/// Waiting is grey; the more power, the darker.
constexpr const char* kPowerColours[] = {"#e3e8ec", "#f6d47a", "#e8872b", "#b3261e"};

/// A part of the time.
struct Window {
  Seconds begin;
  Seconds end;
};

/// Of all stages, or spread evenly over them with the first and the last.
std::vector<std::size_t> drawn_stages(std::size_t stages) {
  std::vector<std::size_t> drawn;
  const auto rows = std::min(stages, kMostStages);
  for (std::size_t row = 0; row < rows; ++row) {
    drawn.push_back(rows == 1 ? 0 : row * (stages - 1) / (rows - 1));
  }
  return drawn;
}

/// Six digits are more than a screen shows.
double drawn(double value) {
  return parse_number(fmt::format("{:.6g}", value)).value_or(0);
}

class Gantt {
 public:
  explicit Gantt(const TrainingResults& results)
      : results_{results}, stages_{drawn_stages(results.pipeline().order.size())} {
    if (results.plan) {
      runs_.push_back(&*results.plan);
    }
    runs_.push_back(&results.full_clocks);
    for (const auto stage : stages_) {
      const auto& order = results.pipeline().order[stage];
      operations_.insert(operations_.end(), order.begin(), order.end());
    }
    find_powers();
  }

  [[nodiscard]] std::vector<Chart> charts() const {
    const auto note = note_text();
    if (operations_.size() <= kMostOperations) {
      Seconds longest;
      for (const auto* run : runs_) {
        longest = std::max(longest, run->time);
      }
      return {chart("chart-gantt", "One iteration, stage by stage", note,
                    std::vector(runs_.size(), Window{Seconds{}, longest}))};
    }
    const auto first = first_part();
    const auto last = last_part();
    std::vector<Window> ends;
    for (const auto* run : runs_) {
      ends.push_back({run->busy - last, run->busy});
    }
    const auto part = fmt::format(
        " Of {} operations on these stages {} in each iteration are "
        "drawn: those of the first {} and of the last {}.",
        significant(static_cast<double>(operations_.size()), 12),
        "at most " + std::to_string(kMostOperations), seconds_text(first), seconds_text(last));
    return {chart("chart-gantt-begin", "The beginning of an iteration, stage by stage", note + part,
                  std::vector(runs_.size(), Window{Seconds{}, first})),
            chart("chart-gantt-end", "The end of an iteration, stage by stage", note + part, ends)};
  }

 private:
  void find_powers() {
    lowest_ = highest_ = results_.pipeline().blocking_power;
    for (const auto* run : runs_) {
      for (const auto operation : operations_) {
        const auto& option = *run->chosen[operation];
        lowest_ = std::min(lowest_, option.energy / option.time);
        highest_ = std::max(highest_, option.energy / option.time);
      }
    }
  }

  /// How long a part may be for half of the operations to be enough: `at` gives their times.
  template <class At>
  [[nodiscard]] Seconds part_before(const TrainingRun& run, At at) const {
    std::vector<Seconds> times;
    times.reserve(operations_.size());
    for (const auto operation : operations_) {
      times.push_back(at(run, operation));
    }
    const auto nth = times.begin() + static_cast<std::ptrdiff_t>(kMostOperations / 2);
    std::nth_element(times.begin(), nth, times.end());
    return *nth;
  }

  [[nodiscard]] Seconds first_part() const {
    auto part = runs_.front()->busy;
    for (const auto* run : runs_) {
      part = std::min(part, part_before(*run, [](const TrainingRun& r, std::uint32_t operation) {
                        return r.timeline.begin[operation];
                      }));
    }
    return part;
  }

  [[nodiscard]] Seconds last_part() const {
    auto part = runs_.front()->busy;
    for (const auto* run : runs_) {
      part = std::min(part, part_before(*run, [](const TrainingRun& r, std::uint32_t operation) {
                        return r.busy - r.timeline.begin[operation] - r.chosen[operation]->time;
                      }));
    }
    return part;
  }

  [[nodiscard]] std::string note_text() const {
    const auto stages = results_.pipeline().order.size();
    auto note = fmt::format(
        "Each bar is an operation, coloured by its mean power; grey is waiting at the blocking "
        "power of {}, the tail of the iteration included.",
        power_text(results_.pipeline().blocking_power));
    if (results_.plan) {
      note += " The same work at full clocks stands below the plan.";
    }
    if (stages_.size() < stages) {
      note += fmt::format(" {} of {} stages are drawn, evenly spread.", stages_.size(), stages);
    }
    return note;
  }

  [[nodiscard]] Json bars(const TrainingRun& run, const Window& window) const {
    Json values = Json::array();
    for (const auto stage : stages_) {
      for (const auto operation : results_.pipeline().order[stage]) {
        const auto& option = *run.chosen[operation];
        const auto begin = run.timeline.begin[operation];
        const auto end = begin + option.time;
        if (end <= window.begin || begin >= window.end) {
          continue;
        }
        const auto slack = run.is_critical(operation) ? Seconds{} : run.timeline.slack[operation];
        values.push_back(
            {{"stage", stage},
             {"begin", drawn(in_seconds(begin))},
             {"end", drawn(in_seconds(end))},
             {"watts", drawn(in_watts(option.energy / option.time))},
             {"instruction", results_.pipeline().work_of(operation).instruction},
             {"microbatch", microbatch_text(results_.pipeline().operations[operation].microbatch)},
             {"setting", to_string(option.knob)},
             {"seconds", drawn(in_seconds(option.time))},
             {"joules", drawn(option.energy.in_base())},
             {"slack", drawn(in_seconds(slack))}});
      }
    }
    return values;
  }

  [[nodiscard]] Json waiting(const TrainingRun& run, const Window& window) const {
    Json values = Json::array();
    for (const auto stage : stages_) {
      values.push_back({{"stage", stage},
                        {"begin", drawn(in_seconds(window.begin))},
                        {"end", drawn(in_seconds(std::min(run.time, window.end)))},
                        {"watts", drawn(in_watts(results_.pipeline().blocking_power))},
                        {"instruction", "waiting"}});
    }
    return values;
  }

  [[nodiscard]] Json colour() const {
    constexpr double kParts = std::size(kPowerColours) - 1;
    Json domain = Json::array();
    Json range = Json::array();
    for (std::size_t i = 0; i < std::size(kPowerColours); ++i) {
      domain.push_back(
          drawn(in_watts(lowest_ + (highest_ - lowest_) * (static_cast<double>(i) / kParts))));
      range.push_back(kPowerColours[i]);
    }
    auto json = field("watts", "quantitative", "mean power, W");
    json["scale"] = {{"domain", domain}, {"range", range}, {"interpolate", "rgb"}};
    return json;
  }

  [[nodiscard]] Json panel(const TrainingRun& run, const Window& window) const {
    auto x = field("begin", "quantitative", "time since the iteration began, s");
    x["scale"] = {{"domain", {drawn(in_seconds(window.begin)), drawn(in_seconds(window.end))}},
                  {"nice", false}};
    const auto y = field("stage", "ordinal", "stage");
    const Json places{{"x", x}, {"x2", {{"field", "end"}}}, {"y", y}, {"color", colour()}};
    auto background = places;
    background["tooltip"] = Json::array({field("instruction", "nominal", "stage is"),
                                         tooltip_quantity("watts", "blocking power, W")});
    auto foreground = places;
    foreground["tooltip"] = Json::array(
        {field("instruction", "nominal", "instruction"), field("microbatch", "nominal", "of"),
         field("setting", "nominal", "setting"), field("stage", "ordinal", "stage"),
         tooltip_quantity("begin", "from, s"), tooltip_quantity("seconds", "takes, s"),
         tooltip_quantity("joules", "energy, J"), tooltip_quantity("watts", "mean power, W"),
         tooltip_quantity("slack", "could take longer by, s")});
    const auto rows = static_cast<double>(stages_.size());
    return {{"title", {{"text", run.name}, {"anchor", "start"}, {"fontSize", 13}}},
            {"width", kChartWidth},
            {"height", rows * std::clamp(kPanelHeight / rows, kLeastRowHeight, kMostRowHeight)},
            {"layer",
             {{{"data", {{"values", waiting(run, window)}}},
               {"mark", {{"type", "rect"}, {"clip", true}}},
               {"encoding", background}},
              {{"data", {{"values", bars(run, window)}}},
               {"mark",
                {{"type", "rect"}, {"clip", true}, {"stroke", "#ffffff"}, {"strokeWidth", 0.5}}},
               {"encoding", foreground}}}}};
  }

  [[nodiscard]] Chart chart(std::string id, std::string title, std::string note,
                            const std::vector<Window>& windows) const {
    Json panels = Json::array();
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      panels.push_back(panel(*runs_[i], windows[i]));
    }
    return {std::move(id),
            std::move(title),
            std::move(note),
            {{"$schema", kVegaLiteSchema}, {"vconcat", panels}, {"config", chart_config()}}};
  }

  const TrainingResults& results_;
  std::vector<std::size_t> stages_;
  std::vector<const TrainingRun*> runs_;
  std::vector<std::uint32_t> operations_;  // of the drawn stages
  Watts lowest_;
  Watts highest_;
};

}  // namespace

std::vector<Chart> gantt_charts(const TrainingResults& results) {
  return Gantt{results}.charts();
}

}  // namespace perwatt::report
