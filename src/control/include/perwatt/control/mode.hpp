// How much a controller may do.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace perwatt::control {

/// Each does what the ones before it do.
enum class Mode : std::uint8_t {
  observe,  // reads, tells what is believed and what is wrong; decides nothing
  advise,   // decides what it would grant, and sends nothing
  control   // sends its grants
};

/// "observe", …
[[nodiscard]] std::string_view to_string(Mode mode);

[[nodiscard]] std::optional<Mode> parse_mode(std::string_view text);

}  // namespace perwatt::control
