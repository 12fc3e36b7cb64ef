#include "perwatt/training/trace_power.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "perwatt/base/error.hpp"
#include "perwatt/base/least_squares.hpp"
#include "perwatt/base/normal_law.hpp"

namespace perwatt::training {

namespace {

/// So that the scatter is known and the normal law will do.
constexpr std::size_t kLeastSpareReadings = 10;
constexpr double kWorstCondition = 1e6;
constexpr double kNegligibleRatio = 0.01;
constexpr double kLeastHalfWidth = 1e-6;  // W: a meter without any scatter decides alone

/// What runs on a rank, edge by edge.
class PhaseSweep {
 public:
  PhaseSweep(const RankTimeline& rank, const TimeSpan& window, RankPhases& phases)
      : rank_{rank}, window_{window}, phases_{phases} {}

  void run() {
    for (std::size_t w = 0; w < rank_.works.size(); ++w) {
      const auto& work = rank_.works[w];
      add_edges(work.span, work.is_transfer() ? nullptr : &busy_, 0);
    }
    for (std::size_t o = 0; o < rank_.operations.size(); ++o) {
      add_edges(rank_.operations[o].span, &operating_, o);
    }
    std::sort(edges_.begin(), edges_.end(), [](const Edge& a, const Edge& b) {
      return std::tie(a.at, a.change, a.operation) < std::tie(b.at, b.change, b.operation);
    });
    Instant at = window_.begin;
    for (const auto& edge : edges_) {
      add_piece(at, edge.at);
      at = std::max(at, edge.at);
      (edge.counter != nullptr ? *edge.counter : transfers_) += edge.change;
      if (edge.counter == &operating_ && edge.change > 0) {
        operation_ = edge.operation;
      }
    }
    add_piece(at, window_.end);
  }

 private:
  struct Edge {
    Instant at;
    int change = 0;
    int* counter = nullptr;  // transfers where there is none
    std::size_t operation = 0;
  };

  void add_edges(const TimeSpan& span, int* counter, std::size_t operation) {
    const auto begin = std::max(span.begin, window_.begin);
    const auto end = std::min(span.end, window_.end);
    if (begin < end) {
      edges_.push_back({begin, 1, counter, operation});
      edges_.push_back({end, -1, counter, operation});
    }
  }

  void add_piece(Instant from, Instant to) {
    if (from >= to) {
      return;
    }
    const bool is_waiting = busy_ == 0 && (operating_ == 0 || transfers_ > 0);
    RankPhases::Piece piece{{from, to}, phases_.waiting(), std::nullopt};
    if (!is_waiting && operating_ > 0) {
      const auto& instruction = rank_.operations[operation_].instruction;
      const auto found = std::find(phases_.names.begin(), phases_.names.end(), instruction);
      piece.phase = static_cast<std::size_t>(found - phases_.names.begin());
      piece.operation = operation_;
    } else if (!is_waiting) {
      piece.phase = phases_.other();
    }
    auto& pieces = phases_.pieces;
    if (!pieces.empty() && pieces.back().phase == piece.phase &&
        pieces.back().operation == piece.operation) {
      pieces.back().span.end = to;
    } else {
      pieces.push_back(piece);
    }
  }

  const RankTimeline& rank_;
  TimeSpan window_;
  RankPhases& phases_;
  std::vector<Edge> edges_;
  int busy_ = 0;  // work other than transfers
  int transfers_ = 0;
  int operating_ = 0;
  std::size_t operation_ = 0;
};

/// How much of a time each phase fills.
class PhaseShares {
 public:
  explicit PhaseShares(const RankPhases& phases) : phases_{phases} {}

  /// Shares that sum to 1; nothing for a span that is not wholly inside. Later calls must not begin
  /// earlier: pieces are walked once.
  std::optional<std::vector<double>> at(const TimeSpan& span) {
    const auto& pieces = phases_.pieces;
    if (pieces.empty() || span.begin < pieces.front().span.begin ||
        span.end >= pieces.back().span.end) {
      return std::nullopt;
    }
    while (pieces[first_].span.end <= span.begin) {
      ++first_;
    }
    std::vector<double> shares(phases_.names.size());
    if (span.begin == span.end) {
      shares[pieces[first_].phase] = 1.0;
      return shares;
    }
    for (auto i = first_; i < pieces.size() && pieces[i].span.begin < span.end; ++i) {
      const auto overlap =
          std::min(pieces[i].span.end, span.end) - std::max(pieces[i].span.begin, span.begin);
      shares[pieces[i].phase] += overlap / span.length();
    }
    return shares;
  }

 private:
  const RankPhases& phases_;
  std::size_t first_ = 0;
};

struct Design {
  std::vector<std::vector<double>> shares;  // by reading and phase
  std::vector<const PowerReading*> readings;
  std::vector<double> seen;  // by phase: sum of shares
};

Design design_of(const RankPhases& phases, std::span<const PowerReading> readings) {
  PhaseShares shares{phases};
  Design design;
  design.seen.resize(phases.names.size());
  for (const auto& reading : readings) {
    auto found = shares.at(reading.span);
    if (!found) {
      continue;
    }
    for (std::size_t p = 0; p < found->size(); ++p) {
      design.seen[p] += (*found)[p];
    }
    design.shares.push_back(std::move(*found));
    design.readings.push_back(&reading);
  }
  return design;
}

void count_other_as_waiting(Design& design, const RankPhases& phases) {
  if (design.seen[phases.other()] >=
      kNegligibleRatio * static_cast<double>(design.readings.size())) {
    return;
  }
  for (auto& shares : design.shares) {
    shares[phases.waiting()] += shares[phases.other()];
    shares[phases.other()] = 0.0;
  }
  design.seen[phases.waiting()] += design.seen[phases.other()];
  design.seen[phases.other()] = 0.0;
}

std::vector<PowerReading> counter_readings(const device::MeterTrace& meter, Seconds offset) {
  std::vector<PowerReading> result;
  const device::Reading* last = nullptr;
  for (const auto& reading : meter.readings) {
    if (!reading.counter || (last != nullptr && *reading.counter == *last->counter)) {
      continue;  // a counter that stands still has not been renewed yet
    }
    if (last != nullptr && *reading.counter > *last->counter) {  // it falls when it is reset
      const TimeSpan span{last->at - offset, reading.at - offset};
      result.push_back({span, (*reading.counter - *last->counter) / span.length()});
    }
    last = &reading;
  }
  return result;
}

std::vector<PowerReading> renewed_readings(const device::MeterTrace& meter, Seconds averaging,
                                           Seconds offset) {
  std::vector<PowerReading> result;
  std::vector<Seconds> since;  // the reading before
  std::size_t repeated = 0;
  const device::Reading* last = nullptr;
  for (const auto& reading : meter.readings) {
    if (!reading.power) {
      continue;
    }
    const auto at = reading.at - offset;
    if (last != nullptr && *last->power == *reading.power) {
      ++repeated;
    } else {
      result.push_back({{at - averaging, at}, *reading.power});
      since.push_back(last != nullptr ? reading.at - last->at : Seconds{});
    }
    last = &reading;
  }
  const bool is_held = repeated > result.size();
  if (is_held && averaging == Seconds{}) {
    for (std::size_t i = 0; i < result.size(); ++i) {
      result[i].span.begin = result[i].span.end - since[i];
    }
    result.erase(result.begin());  // of a time that is not known
  }
  return result;
}

}  // namespace

RankPhases phases_of(const RankTimeline& rank, const TimeSpan& window) {
  std::set<std::string> instructions;
  for (const auto& operation : rank.operations) {
    instructions.insert(operation.instruction);
  }
  if (instructions.size() + 2 > kMostUnknowns) {
    throw_bad_input(std::to_string(instructions.size()) + " different instructions",
                    rank.trace.file, "name at most six with --instruction");
  }
  RankPhases phases;
  phases.names.assign(instructions.begin(), instructions.end());
  phases.names.emplace_back("other");
  phases.names.emplace_back("waiting");
  PhaseSweep{rank, window, phases}.run();
  return phases;
}

bool has_counter(const device::MeterTrace& meter) {
  return std::count_if(meter.readings.begin(), meter.readings.end(),
                       [](const auto& r) { return r.counter.has_value(); }) > 1;
}

std::vector<PowerReading> power_readings(const device::MeterTrace& meter, Seconds averaging,
                                         Seconds offset) {
  return has_counter(meter) ? counter_readings(meter, offset)
                            : renewed_readings(meter, averaging, offset);
}

std::optional<PhasePower> mean_over_ranks(std::span<const PhasePower> powers) {
  if (powers.empty()) {
    return std::nullopt;
  }
  const auto weight = [](const PhasePower& power) {
    const double half_width = std::max(in_watts(power.half_width), kLeastHalfWidth);
    return 1 / (half_width * half_width);
  };
  double weights = 0;
  double sum = 0;
  for (const auto& power : powers) {
    weights += weight(power);
    sum += weight(power) * in_watts(power.mean);
  }
  const double mean = sum / weights;
  double squares = 0;
  for (const auto& power : powers) {
    const double off = in_watts(power.mean) - mean;
    squares += weight(power) * off * off * kNormal95 * kNormal95;
  }
  const auto freedom = static_cast<double>(std::max<std::size_t>(powers.size() - 1, 1));
  return PhasePower{watts(mean),
                    watts(std::sqrt(std::max(1.0, squares / freedom)) / std::sqrt(weights))};
}

std::vector<std::optional<PhasePower>> attribute_power(const RankPhases& phases,
                                                       std::span<const PowerReading> readings,
                                                       const std::string& where) {
  auto design = design_of(phases, readings);
  count_other_as_waiting(design, phases);
  std::vector<std::size_t> unknowns;
  for (std::size_t p = 0; p < phases.names.size(); ++p) {
    if (design.seen[p] > 0) {
      unknowns.push_back(p);
    } else if (p < phases.other()) {
      throw_bad_input("no power reading falls into " + phases.names[p], where,
                      "sample power more often or trace more iterations");
    }
  }
  if (design.readings.size() < unknowns.size() + kLeastSpareReadings) {
    throw_bad_input(
        std::to_string(design.readings.size()) + " power readings lie within the traced iterations",
        where, "sample power more often, trace more iterations, or check --clock-offset");
  }
  std::vector<LeastSquaresRow> rows;
  for (std::size_t i = 0; i < design.readings.size(); ++i) {
    LeastSquaresRow row;
    for (std::size_t u = 0; u < unknowns.size(); ++u) {
      row.x[u] = design.shares[i][unknowns[u]];
    }
    row.y = in_watts(design.readings[i]->power);
    const auto length = in_seconds(design.readings[i]->span.length());
    row.sigma = length > 0 ? 1 / std::sqrt(length) : 1.0;
    rows.push_back(row);
  }
  const auto fit = least_squares(rows, static_cast<int>(unknowns.size()));
  if (!(fit.condition_number < kWorstCondition)) {
    throw_bad_input("the power readings do not tell the instructions apart", where,
                    "sample power more often, or log the energy counter");
  }
  std::vector<std::optional<PhasePower>> powers(phases.names.size());
  for (std::size_t u = 0; u < unknowns.size(); ++u) {
    if (fit.value[u] < 0 && unknowns[u] < phases.other()) {
      throw_bad_input("the power readings give " + phases.names[unknowns[u]] +
                          " a power below 0: series and trace do not fit together",
                      where, "check --clock-offset, --averaging and --meter");
    }
    powers[unknowns[u]] = PhasePower{
        watts(fit.value[u]), watts(kNormal95 * std::sqrt(fit.covariance[u][u] * fit.variance))};
  }
  return powers;
}

}  // namespace perwatt::training
