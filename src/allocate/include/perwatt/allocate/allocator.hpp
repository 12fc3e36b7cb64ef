// The exact best split of watts over a tree of limits (docs/model/allocate.md).
#pragma once

#include <memory>

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

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace perwatt::allocate
