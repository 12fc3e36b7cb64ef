// The cheapest set of units whose loss relieves every limit that is passed.
//
// Cost is lexicographic: what the highest priority loses, then the next, and so on down. Exact by
// branch and bound for what can be searched; beyond that the first answer stands: lowest priority
// first, least worth per watt first, then whatever turns out not to be needed is given back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace perwatt::control {

/// A unit that may be taken. Watts by row, each above 0; worth of 0 or more.
struct CoverUnit {
  std::vector<std::pair<std::uint32_t, double>> relief_watts;
  double worth = 0;
};

/// A job: its units follow each other.
struct CoverJob {
  int priority = 0;
  std::size_t first_unit = 0;
  std::size_t end_unit = 0;
  std::size_t most_off = 0;  // of them
  bool may_pause = false;    // all of them
};

struct Cover {
  std::vector<char> is_off;     // by unit
  std::vector<char> is_paused;  // by job
  bool is_met = false;          // every row is relieved; else all that may be taken is
  bool is_proven = false;       // nothing costs less
};

/// `needs` by row, in watts. Linear in units but for the search, which is bounded.
[[nodiscard]] Cover cheapest_cover(std::span<const double> needs, std::span<const CoverJob> jobs,
                                   std::span<const CoverUnit> units);

}  // namespace perwatt::control
