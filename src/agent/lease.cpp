#include "perwatt/agent/lease.hpp"

namespace perwatt::agent {

std::string_view to_string(Answer answer) {
  switch (answer) {
    case Answer::accepted:
      return "accepted";
    case Answer::late:
      return "late";
    case Answer::unknown_ask:
      return "unknown ask";
    case Answer::old:
      return "old";
    case Answer::out_of_bounds:
      break;
  }
  return "out of bounds";
}

Lease::Lease(const LeaseLimits& limits, device::AgentEpoch epoch, Instant now)
    : limits_{limits}, epoch_{epoch}, cap_{limits.fail_safe}, lowered_at_{now} {}

device::LeaseAsk Lease::ask(Instant now) {
  ++asked_;
  asks_[asked_ % kAsks] = {asked_, now};
  return {epoch_, asked_};
}

Answer Lease::take(const device::LeaseGrant& grant, Instant now) {
  lapse(now);
  const auto& asked = asks_[grant.answers.number % kAsks];
  if (grant.answers.epoch != epoch_ || grant.answers.number == 0 ||
      asked.number != grant.answers.number) {
    return Answer::unknown_ask;
  }
  if (grant.id <= accepted_) {
    return Answer::old;
  }
  const bool is_within = grant.cap >= limits_.least && grant.cap <= limits_.most;
  const bool has_end = grant.duration > Seconds{} && grant.duration <= kLongestLease;
  if (!is_within || !has_end) {
    return Answer::out_of_bounds;
  }
  const Instant expires = asked.at + grant.duration;
  if (now >= expires) {
    return Answer::late;
  }
  accepted_ = grant.id;
  expires_ = expires;
  change_cap(grant.cap, now);
  return Answer::accepted;
}

Watts Lease::cap(Instant now) {
  lapse(now);
  return cap_;
}

device::LeaseReport Lease::report(Instant now, Watts enforced) {
  lapse(now);
  device::LeaseReport report;
  report.epoch = epoch_;
  report.accepted = accepted_;
  report.is_lapsed = !expires_;
  report.is_settled = enforced <= cap_ && now >= lowered_at_ + limits_.settle;
  report.enforced = enforced;
  return report;
}

void Lease::lapse(Instant now) {
  if (expires_ && now >= *expires_) {
    expires_.reset();
    change_cap(limits_.fail_safe, now);
  }
}

void Lease::change_cap(Watts cap, Instant now) {
  if (cap < cap_) {
    lowered_at_ = now;
  }
  cap_ = cap;
}

}  // namespace perwatt::agent
