// A hash that is the same in every build and run, for keys and fingerprints that are kept or seeded
// with. Not for secrets.
#pragma once

#include <cstdint>
#include <string_view>

namespace perwatt {

/// FNV-1a, 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv).
constexpr std::uint64_t fnv1a(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : bytes) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return hash;
}

}  // namespace perwatt
