#include "perwatt/device/power_meter.hpp"

#include <array>
#include <utility>

namespace perwatt::device {

namespace {

constexpr std::array<std::pair<Scope, std::string_view>, 6> kScopes{
    {{Scope::gpu, "gpu"},
     {Scope::cpu_package, "cpu_package"},
     {Scope::memory, "memory"},
     {Scope::node, "node"},
     {Scope::rack, "rack"},
     {Scope::site, "site"}}};

}  // namespace

std::string_view to_string(Scope scope) {
  return kScopes[static_cast<std::size_t>(scope)].second;
}

std::optional<Scope> parse_scope(std::string_view text) {
  for (const auto& [scope, name] : kScopes) {
    if (name == text) {
      return scope;
    }
  }
  return std::nullopt;
}

}  // namespace perwatt::device
