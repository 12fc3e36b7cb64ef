// What every fuzz target demands of a parser: an answer, or Error(bad_input) on one line.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::fuzz {

/// A broken demand leaves as std::logic_error: a crash for libFuzzer, a failure for the replay.
inline void demand(bool holds, const std::string& otherwise) {
  if (!holds) {
    throw std::logic_error{otherwise};
  }
}

inline void demand_one_line(std::string_view message) {
  constexpr std::size_t kWhole = std::string_view::npos;
  demand(printable(message, kWhole) == message,
         "a message holds what a terminal must not get: " + printable(message, kWhole));
}

template <class Parse>
void demand_answer_or_error(const Parse& parse) {
  try {
    parse();
  } catch (const Error& error) {
    demand(error.code() == ErrorCode::bad_input, std::string{"not bad input: "} + error.what());
    demand_one_line(error.what());
  }
}

}  // namespace perwatt::fuzz
