#include "perwatt/base/tag.hpp"

#include <array>

namespace perwatt {

namespace {

constexpr std::array<std::string_view, 6> kNames = {"measured", "derived",   "interpolated",
                                                    "modelled", "published", "assumed"};

}  // namespace

std::string_view to_string(Tag tag) {
  return kNames[static_cast<std::size_t>(tag)];
}

std::optional<Tag> parse_tag(std::string_view text) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == text) {
      return static_cast<Tag>(i);
    }
  }
  return std::nullopt;
}

}  // namespace perwatt
