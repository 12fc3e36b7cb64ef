// The text that names a power source: KIND[:TARGET][?KEY=VALUE[&KEY=VALUE]…]. Values are
// percent-decoded, so that a query may hold '&' as %26 and '%' as %25.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "perwatt/device/power_meter.hpp"

namespace perwatt::device {

enum class MeteredKind { power, energy };

/// A source asks for the keys it knows and then calls reject_unknown_keys(). All functions throw
/// Error(usage) with the remedy.
class SourceText {
 public:
  SourceText(std::string_view text, std::string_view where);

  [[nodiscard]] const std::string& whole() const { return whole_; }

  [[nodiscard]] const std::string& kind() const { return kind_; }

  [[nodiscard]] const std::string& target() const { return target_; }

  [[nodiscard]] const std::string& where() const { return where_; }

  /// The target. Refused when it is empty; `example` shows the whole text.
  [[nodiscard]] const std::string& require_target(const std::string& example) const;

  /// Refused when a target is given.
  void require_no_target() const;

  [[nodiscard]] std::optional<std::string> optional(std::string_view key);
  [[nodiscard]] std::string required(std::string_view key, const std::string& example);

  /// scope=…, or `by_default`; required where there is no default.
  [[nodiscard]] Scope scope(std::optional<Scope> by_default);

  /// kind=power|energy, required.
  [[nodiscard]] MeteredKind metered_kind();

  /// scale=…: watts or joules for one unit of the source; 1 by default.
  [[nodiscard]] double scale();

  /// accuracy=…: half-width of the maker's accuracy as a ratio, 0 to 1.
  [[nodiscard]] std::optional<double> accuracy();

  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t low, std::int64_t high,
                                     std::optional<std::int64_t> by_default);

  /// One of `choices`; the first is the default when `has_default`.
  [[nodiscard]] std::string choice(std::string_view key, const std::vector<std::string>& choices,
                                   bool has_default);

  void reject_unknown_keys() const;

  [[noreturn]] void refuse(const std::string& what, const std::string& remedy) const;

 private:
  struct Parameter {
    std::string value;
    bool read = false;
  };

  std::string whole_;
  std::string where_;
  std::string kind_;
  std::string target_;
  std::map<std::string, Parameter, std::less<>> parameters_;
  std::vector<std::string> known_keys_;
};

}  // namespace perwatt::device
