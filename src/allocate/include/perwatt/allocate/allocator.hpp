// The exact best split of watts over a tree of limits (docs/model/allocate.md).
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "perwatt/allocate/allocation.hpp"
#include "perwatt/allocate/problem.hpp"

namespace perwatt::allocate {

class Allocator {
 public:
  /// Lays the problem out for solving. REQUIRES: a root, and what Problem requires.
  explicit Allocator(Problem problem);
  ~Allocator();
  Allocator(Allocator&&) noexcept;
  Allocator& operator=(Allocator&&) noexcept;

  /// The optimum from nothing. The reference holds until the next call.
  const Allocation& solve();

  /// Other limits and curves, for the next call. REQUIRES: as Problem.
  void set_limit(NodeIndex node, Watts limit);
  void set_curve(DeviceIndex device, std::span<const CurvePoint> curve);

  /// Fetches into the cache what set_curve() of the device will write, a few devices ahead: changes
  /// nothing.
  void prefetch(DeviceIndex device) const noexcept;

  /// The optimum after changes, from what is known of the last one: the same as solve(), to 1e-9 of
  /// each figure. Where much changed at once, or groups cross branches, it is solve().
  const Allocation& resolve();

  /// With all changes so far.
  [[nodiscard]] const Problem& problem() const;

  /// How many calls of resolve() did without a full solve.
  [[nodiscard]] std::size_t update_count() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace perwatt::allocate
