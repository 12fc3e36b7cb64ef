#include "write_discipline.hpp"

#include <algorithm>
#include <cmath>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::control {

namespace {

constexpr double kBurstRatio = 0.1;      // of the changes of an hour, that may be made in a row
constexpr double kChangesPerHour = 1e6;  // the most that is a rule
constexpr double kLongestSpreadSeconds = 86400;

/// In [0, 1), evenly spread over the devices from any seed on: the golden ratio's multiples
/// (Weyl's equidistribution; Knuth, The Art of Computer Programming 3, 6.4).
double phase_of(std::uint64_t seed, std::size_t device) {
  const std::uint64_t bits = (seed + device + 1) * 0x9e3779b97f4a7c15ULL;
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

void check_write_rules(const WriteRules& rules) {
  const auto fail = [](const char* name, double value, const char* remedy) {
    throw_bad_input(std::string{name} + " is " + shortest(value), "write rules", remedy);
  };
  if (rules.slew && !(rules.slew->in_base() > 0 && std::isfinite(rules.slew->in_base()))) {
    fail("slew", rules.slew->in_base(), "give watts per second above 0, or none");
  }
  if (const double spread = in_seconds(rules.spread);
      !(spread >= 0 && spread <= kLongestSpreadSeconds)) {
    fail("spread", spread, "give 0 s to a day");
  }
  if (const auto changes = rules.changes_per_hour;
      changes && !(*changes > 0 && *changes <= kChangesPerHour)) {
    fail("changes_per_hour", *changes, "give a number above 0, to 1e6, or none");
  }
}

}  // namespace

WriteDiscipline::WriteDiscipline(const WriteRules& rules, std::size_t devices, Watts dead_band)
    : rules_{rules}, dead_band_{dead_band} {
  check_write_rules(rules);
  if (is_on()) {
    accounts_.assign(devices, {0, most_changes()});
  }
}

double WriteDiscipline::most_changes() const {
  return rules_.changes_per_hour ? std::max(1.0, *rules_.changes_per_hour * kBurstRatio) : 0;
}

void WriteDiscipline::advance(Instant now) {
  before_ = has_ticked_ ? now_ : now;
  now_ = std::max(now, before_);
  has_ticked_ = true;
  const Seconds since = now_ - before_;
  const Watts rise = rules_.slew.value_or(WattsPerSecond{}) * since;
  const Watts in_spread = rules_.slew.value_or(WattsPerSecond{}) * rules_.spread;
  const double most_rise = in_watts(std::max({rise, in_spread, dead_band_ * 2}));
  const double changes = rules_.changes_per_hour.value_or(0) * in_seconds(since) / kSecondsPerHour;
  for (auto& account : accounts_) {
    account.rise_watts = std::min(most_rise, account.rise_watts + in_watts(rise));
    account.changes = std::min(most_changes(), account.changes + changes);
  }
}

/// Its moment lies after the tick before and not after this one.
bool WriteDiscipline::has_turn(std::size_t device) const {
  if (rules_.spread <= Seconds{}) {
    return true;
  }
  const double phase = phase_of(rules_.seed, device);
  const auto spans = [&](Instant at) {
    return std::floor((at - Instant{}) / rules_.spread - phase);
  };
  return spans(now_) > spans(before_);
}

Watts WriteDiscipline::highest(std::size_t device, Watts cap, Watts target) const {
  if (target <= cap) {
    return target;
  }
  if (!has_turn(device) || (rules_.changes_per_hour && accounts_[device].changes < 1)) {
    return cap;
  }
  return rules_.slew ? std::min(target, cap + watts(accounts_[device].rise_watts)) : target;
}

void WriteDiscipline::spend(std::size_t device, Watts before, Watts after) {
  if (accounts_.empty() || before == after) {
    return;
  }
  auto& account = accounts_[device];
  account.changes = std::max(0.0, account.changes - 1);
  account.rise_watts = std::max(0.0, account.rise_watts - std::max(0.0, in_watts(after - before)));
}

void WriteDiscipline::save(ByteWriter& to) const {
  to.put(std::uint8_t{has_ticked_});
  to.put(now_);
  for (const auto& account : accounts_) {
    to.put(account.rise_watts);
    to.put(account.changes);
  }
}

void WriteDiscipline::resume(ByteReader& from) {
  has_ticked_ = from.get<std::uint8_t>() != 0;
  now_ = from.instant();
  for (auto& account : accounts_) {
    account.rise_watts = from.get<double>();
    account.changes = from.get<double>();
  }
}

}  // namespace perwatt::control
