// The outcome of something that may fail while a program runs as it should: a peer that hangs up, a
// meter that does not answer. Bad input throws Error instead (error.hpp).
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace perwatt {

/// Why it failed, one line for people: names the peer or device and what it did.
struct Failure {
  std::string reason;
};

template <class T>
class Result {
 public:
  Result(T value) : outcome_{std::move(value)} {}  // NOLINT(google-explicit-constructor)

  Result(Failure failure) : outcome_{std::move(failure)} {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return std::holds_alternative<T>(outcome_); }

  explicit operator bool() const { return ok(); }

  /// REQUIRES: ok(). Throws std::bad_variant_access otherwise.
  [[nodiscard]] const T& value() const& { return std::get<T>(outcome_); }

  [[nodiscard]] T&& value() && { return std::get<T>(std::move(outcome_)); }

  /// REQUIRES: !ok().
  [[nodiscard]] const std::string& reason() const { return std::get<Failure>(outcome_).reason; }

 private:
  std::variant<T, Failure> outcome_;
};

}  // namespace perwatt
