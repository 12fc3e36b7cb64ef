#include "perwatt/simulate/request_stream.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <utility>

#include "perwatt/base/error.hpp"
#include "perwatt/base/random.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::simulate {

namespace {

constexpr double kMostTokens = 1e7;  // of one request; keeps its time in nanoseconds

void check_token_law(const TokenLaw& law, const char* which) {
  const double nominal = in_tokens(law.nominal);
  const double least = law.kind == TokenLaw::Kind::constant ? 1 : 0;
  if (!(nominal >= least && nominal > 0 && nominal <= kMostTokens)) {
    throw_bad_input(
        std::string{"requests of "} + shortest(nominal) + " " + which + " tokens on average", "",
        "give a length of 1 token or more");
  }
  if (law.kind == TokenLaw::Kind::lognormal &&
      !(law.deviation_ratio >= 0 && std::isfinite(law.deviation_ratio))) {
    throw_bad_input(std::string{"a deviation of "} + shortest(law.deviation_ratio) + " of the " +
                        which + " tokens",
                    "", "give a ratio of 0 or more");
  }
}

/// Lengths, apart from arrivals.
class LengthSource {
 public:
  LengthSource(const TokenLaws& laws, std::uint64_t seed) : laws_{laws}, generator_{seed + 1} {}

  Request at(Instant arrival) {
    const std::int64_t input = draw_tokens(laws_.input, generator_);
    const std::int64_t output = draw_tokens(laws_.output, generator_);
    return {arrival, input, output};
  }

 private:
  TokenLaws laws_;
  std::mt19937_64 generator_;
};

/// The integral of a daily rate and its inverse.
class DailyClock {
 public:
  explicit DailyClock(const DailyRate& rate) : points_{rate.points}, period_{rate.period} {
    points_.push_back({period_, points_.front().rate_per_second});
    expected_.push_back(0);
    for (std::size_t i = 0; i + 1 < points_.size(); ++i) {
      const double length_seconds = in_seconds(points_[i + 1].at - points_[i].at);
      const double mean = (points_[i].rate_per_second + points_[i + 1].rate_per_second) / 2;
      expected_.push_back(expected_.back() + length_seconds * mean);
    }
  }

  [[nodiscard]] double per_period() const { return expected_.back(); }

  /// Requests expected from the day's start to `at` in [0, period).
  [[nodiscard]] double expected(Seconds at) const {
    std::size_t i = 0;
    while (i + 2 < points_.size() && points_[i + 1].at <= at) {
      ++i;
    }
    const double inside = in_seconds(at - points_[i].at);
    return expected_[i] + inside * (points_[i].rate_per_second + slope(i) * inside / 2);
  }

  /// Since the start of the first day.
  [[nodiscard]] Seconds when(double expected) const {
    const double periods = std::floor(expected / per_period());
    const double rest = std::clamp(expected - periods * per_period(), 0.0, per_period());
    const auto above = std::upper_bound(expected_.begin() + 1, expected_.end() - 1, rest);
    const auto i = static_cast<std::size_t>(above - expected_.begin()) - 1;
    const double more = rest - expected_[i];
    const double initial = points_[i].rate_per_second;
    // The root of a t^2 / 2 + r t = u in the form that loses no digits for small a.
    const double root = std::sqrt(std::max(0.0, initial * initial + 2 * slope(i) * more));
    const double inside = more <= 0 ? 0 : 2 * more / (initial + root);
    return period_ * periods + points_[i].at + seconds(inside);
  }

 private:
  [[nodiscard]] double slope(std::size_t i) const {
    return (points_[i + 1].rate_per_second - points_[i].rate_per_second) /
           in_seconds(points_[i + 1].at - points_[i].at);
  }

  std::vector<DailyRate::Point> points_;  // and the first one again at the period's end
  std::vector<double> expected_;          // requests up to each
  Seconds period_;
};

void check_daily_rate(const DailyRate& rate) {
  if (rate.points.empty() || rate.points.front().at != Seconds{}) {
    throw_bad_input("a daily rate whose first point is not at 0 s", "",
                    "give the rate at the start of the day");
  }
  bool is_ever_positive = false;
  for (std::size_t i = 0; i < rate.points.size(); ++i) {
    const auto& point = rate.points[i];
    const Seconds next = i + 1 < rate.points.size() ? rate.points[i + 1].at : rate.period;
    if (!(point.at < next)) {
      throw_bad_input("a daily rate with a point at " + shortest(in_seconds(point.at)) +
                          " s, not before the next one or the period's end",
                      "", "order points by time, all inside the period");
    }
    if (!(point.rate_per_second >= 0 && std::isfinite(point.rate_per_second))) {
      throw_bad_input("a daily rate of " + shortest(point.rate_per_second) + " requests/s", "",
                      "give a rate of 0 or more");
    }
    is_ever_positive = is_ever_positive || point.rate_per_second > 0;
  }
  if (!is_ever_positive) {
    throw_bad_input("a daily rate of 0 requests/s all day", "", "give a rate above 0 somewhere");
  }
  if (!(rate.starts_at >= Seconds{} && rate.starts_at < rate.period)) {
    throw_bad_input("a start at " + shortest(in_seconds(rate.starts_at)) + " s of the day", "",
                    "start inside the period");
  }
}

/// A trace as it is used: where it stands, and the lengths in place of its own.
struct TraceCursor {
  RequestTrace trace;
  TraceUse use;
  std::mt19937_64 generator;
  double period_seconds = 0;  // of a loop, recorded time
  std::size_t next = 0;
  std::int64_t round = 0;

  std::optional<Request> take() {
    if (next == trace.size()) {
      if (!use.is_looped) {
        return std::nullopt;
      }
      next = 0;
      ++round;
    }
    Request request = trace[next++];
    const double recorded =
        in_seconds(request.arrival - Instant{}) + static_cast<double>(round) * period_seconds;
    if (use.rate_ratio != 1 || round > 0) {
      request.arrival = Instant{} + seconds(recorded / use.rate_ratio);
    }
    if (use.input) {
      request.input_tokens = draw_tokens(*use.input, generator);
    }
    if (use.output) {
      request.output_tokens = draw_tokens(*use.output, generator);
    }
    return request;
  }
};

}  // namespace

Tokens TokenLaw::mean() const {
  if (kind == Kind::exponential) {
    return tokens(-1 / std::expm1(-1 / in_tokens(nominal)));
  }
  return kind == Kind::constant ? tokens(std::round(in_tokens(nominal))) : nominal;
}

double TokenLaw::squared_variation() const {
  switch (kind) {
    case Kind::constant:
      return 0;
    case Kind::exponential:
      return std::exp(-1 / in_tokens(nominal));  // geometric law: 1 - p
    case Kind::lognormal:
      break;
  }
  return deviation_ratio * deviation_ratio;
}

void TokenLaws::check() const {
  check_token_law(input, "input");
  check_token_law(output, "output");
}

std::int64_t draw_tokens(const TokenLaw& law, std::mt19937_64& generator) {
  double drawn = in_tokens(law.nominal);
  if (law.kind == TokenLaw::Kind::exponential) {
    drawn = std::ceil(drawn * unit_exponential(generator));
  } else if (law.kind == TokenLaw::Kind::lognormal) {
    const double variance = std::log1p(law.deviation_ratio * law.deviation_ratio);
    drawn *= std::exp(std::sqrt(variance) * standard_normal(generator) - variance / 2);
  }
  return static_cast<std::int64_t>(std::clamp(std::round(drawn), 1.0, kMostTokens));
}

RequestStream::RequestStream(std::function<std::optional<Request>()> source)
    : source_{std::move(source)} {}

std::optional<Request> RequestStream::next() {
  return source_();
}

RequestStream RequestStream::of_arrivals(const ArrivalPlan& plan, const TokenLaws& laws) {
  laws.check();
  if (plan.pattern == ArrivalPattern::closed_loop) {
    throw_bad_input("a closed loop as a stream of requests", "",
                    "take constant, poisson, gamma or bursts");
  }
  return RequestStream{
      [process = ArrivalProcess{plan},
       lengths = LengthSource{laws, plan.seed}]() mutable -> std::optional<Request> {
        const auto arrival = process.next();
        if (!arrival) {
          return std::nullopt;
        }
        return lengths.at(Instant{} + *arrival->offset);
      }};
}

RequestStream RequestStream::of_daily_rate(const DailyRate& rate, ArrivalPattern pattern,
                                           double burstiness, const TokenLaws& laws,
                                           std::uint64_t seed) {
  laws.check();
  check_daily_rate(rate);
  if (pattern == ArrivalPattern::closed_loop) {
    throw_bad_input("a closed loop with a daily rate", "", "take constant, poisson or gamma");
  }
  ArrivalPlan plan;
  plan.pattern = pattern;
  plan.rate_per_second = 1;
  plan.burstiness = burstiness;
  plan.count = std::numeric_limits<std::int64_t>::max();
  plan.seed = seed;
  const DailyClock clock{rate};
  const double skipped = clock.expected(rate.starts_at);
  return RequestStream{[process = ArrivalProcess{plan}, lengths = LengthSource{laws, seed}, clock,
                        skipped, start = rate.starts_at]() mutable -> std::optional<Request> {
    const Seconds operational = *process.next()->offset;
    const Seconds since_start = clock.when(skipped + in_seconds(operational)) - start;
    return lengths.at(Instant{} + std::max(since_start, Seconds{}));
  }};
}

RequestStream RequestStream::of_trace(RequestTrace trace, const TraceUse& use) {
  if (trace.empty()) {
    throw_bad_input("a trace without requests", "", "give one with a request or more");
  }
  if (!(use.rate_ratio > 0 && std::isfinite(use.rate_ratio))) {
    throw_bad_input("a trace at " + shortest(use.rate_ratio) + " of its rate", "",
                    "give a ratio above 0");
  }
  if (use.input) {
    check_token_law(*use.input, "input");
  }
  if (use.output) {
    check_token_law(*use.output, "output");
  }
  TraceCursor cursor;
  const double span = in_seconds(trace.back().arrival - trace.front().arrival);
  const auto gaps = static_cast<double>(trace.size() - 1);
  if (use.is_looped && !(span > 0)) {
    throw_bad_input("a trace to be looped whose requests all come at once", "",
                    "give one that lasts, or do not loop it");
  }
  cursor.period_seconds = use.is_looped ? span * (gaps + 1) / gaps : 0;
  cursor.trace = std::move(trace);
  cursor.use = use;
  cursor.generator.seed(use.seed + 1);
  return RequestStream{[cursor = std::move(cursor)]() mutable { return cursor.take(); }};
}

}  // namespace perwatt::simulate
