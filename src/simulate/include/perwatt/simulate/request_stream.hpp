// The requests a service gets: when, with how many tokens in and out.
//
// Arrivals are those of base's ArrivalProcess, of a rate over the day, or of a recorded trace:
//   daily rate  a renewal process in operational time carried to real time by the inverse of the
//               integrated rate (the time change of arrivals.hpp; Cinlar, Introduction to
//               Stochastic Processes, 1975, ch. 4.7); the rate is linear between its points, so
//               that the inverse is the root of a quadratic. No thinning: no draw is lost.
//   trace       the recorded gaps divided by a ratio, once or again and again
// Lengths are drawn apart from arrivals (seed + 1), so that another rate keeps them. The same plan
// gives the same requests on every platform up to the last digit of std::log and std::exp.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/base/arrivals.hpp"
#include "perwatt/base/instant.hpp"
#include "perwatt/base/units.hpp"

namespace perwatt::simulate {

struct Request {
  Instant arrival;  // simulated time, 0 at the start of the simulation
  std::int64_t input_tokens = 1;
  std::int64_t output_tokens = 1;  // at least 1: the first one comes with the prefill

  bool operator==(const Request&) const = default;
};

/// Tokens of a request, whole and at least 1.
struct TokenLaw {
  enum class Kind {
    constant,
    exponential,  // rounded up
    lognormal     // rounded to the nearest
  };

  Kind kind = Kind::constant;
  Tokens nominal = tokens(1);    // mean before rounding; at least 1 where constant, else above 0
  double deviation_ratio = 0.0;  // lognormal only: standard deviation over the mean, >= 0

  /// Mean of what is drawn. Exact for constant and exponential, there 1 / (1 - exp(-1 / nominal));
  /// lognormal: the nominal one, right to 1 % where few draws fall below 1.
  [[nodiscard]] Tokens mean() const;

  /// Squared coefficient of variation of what is drawn, likewise.
  [[nodiscard]] double squared_variation() const;
};

struct TokenLaws {
  TokenLaw input;
  TokenLaw output;

  /// Throws Error(bad_input) for a length or deviation out of range.
  void check() const;
};

/// Requests/s over a day that repeats: linear between points and from the last to the first one.
struct DailyRate {
  struct Point {
    Seconds at;  // since the day's start; the first is 0, rising, below `period`
    double rate_per_second = 0.0;
  };

  std::vector<Point> points;
  Seconds period = seconds(86400);
  Seconds starts_at;  // time of day when the simulation starts, in [0, period)
};

/// Recorded requests; arrivals are since the first one, which is at 0, and never fall.
using RequestTrace = std::vector<Request>;

/// A trace of the Azure LLM inference format: columns TIMESTAMP (YYYY-MM-DD hh:mm:ss with up to 9
/// digits of a fraction and an optional zone "Z" or "+00:00"), ContextTokens, GeneratedTokens; more
/// columns are ignored, lines end with LF or CRLF, the last one may lack it (Splitwise, ISCA 2024;
/// github.com/Azure/AzurePublicDataset). A count of 0 tokens becomes 1. `name` stands for the file
/// in messages. Throws Error(bad_input) with line and remedy for a missing column, a timestamp or
/// count that is none, a time that falls, or no row.
[[nodiscard]] RequestTrace parse_azure_trace(std::string_view text, const std::string& name);

struct TraceUse {
  double rate_ratio = 1.0;         // above 0: 2 sends twice as fast
  bool is_looped = false;          // the first request follows the last after a mean gap
  std::optional<TokenLaw> input;   // in place of the recorded lengths
  std::optional<TokenLaw> output;  // likewise
  std::uint64_t seed = 0;          // of such laws
};

class RequestStream {
 public:
  /// Throws Error(bad_input) as ArrivalProcess does, for a closed loop, and for a law out of range.
  static RequestStream of_arrivals(const ArrivalPlan& plan, const TokenLaws& laws);

  /// Without end. `pattern` and `burstiness` as in ArrivalPlan. Throws Error(bad_input) for a rate
  /// that is negative, infinite or 0 all day, points out of order, or a law out of range.
  static RequestStream of_daily_rate(const DailyRate& rate, ArrivalPattern pattern,
                                     double burstiness, const TokenLaws& laws, std::uint64_t seed);

  /// Throws Error(bad_input) for an empty trace, a ratio that is not above 0, or a law out of
  /// range.
  static RequestStream of_trace(RequestTrace trace, const TraceUse& use);

  /// The next request; arrivals never fall. Absent after the last one.
  [[nodiscard]] std::optional<Request> next();

 private:
  explicit RequestStream(std::function<std::optional<Request>()> source);

  std::function<std::optional<Request>()> source_;
};

/// A draw of `law`. REQUIRES: the law is in range.
[[nodiscard]] std::int64_t draw_tokens(const TokenLaw& law, std::mt19937_64& generator);

}  // namespace perwatt::simulate
