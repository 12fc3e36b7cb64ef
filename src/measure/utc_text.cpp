#include "utc_text.hpp"

#include <array>
#include <cmath>
#include <ctime>

#include <fmt/format.h>

namespace perwatt::measure {

std::string utc_text(Seconds unix_time, int decimals) {
  const double whole = std::floor(in_seconds(unix_time));
  const auto time = static_cast<std::time_t>(whole);
  std::tm parts{};
  if (gmtime_r(&time, &parts) == nullptr) {
    return "";
  }
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (decimals == 0) {
    return fmt::format("{}Z", text.data());
  }
  return fmt::format("{}.{:03}Z", text.data(),
                     static_cast<int>((in_seconds(unix_time) - whole) * 1e3));
}

}  // namespace perwatt::measure
