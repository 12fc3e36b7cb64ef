// How a number came to be. Every result carries the weakest tag among the numbers it is built on.
#pragma once

#include <optional>
#include <string_view>

namespace perwatt {

/// Ordered from the strongest to the weakest evidence.
enum class Tag {
  measured,      // read from an instrument by the source named beside it
  derived,       // computed from measured values of the same row
  interpolated,  // between two measured loads of one deployment
  modelled,      // from a model or from measured relatives
  published,     // a data sheet or a vendor's statement
  assumed        // an engineering assumption, said so
};

[[nodiscard]] std::string_view to_string(Tag tag);

/// The tag spelled `text`, or nothing.
[[nodiscard]] std::optional<Tag> parse_tag(std::string_view text);

/// The weaker evidence of two.
[[nodiscard]] constexpr Tag weaker(Tag a, Tag b) {
  return a < b ? b : a;
}

}  // namespace perwatt
