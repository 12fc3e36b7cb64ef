// What a solve of Clp came to.
#pragma once

#include <string>

#include <ClpSimplex.hpp>

#include "perwatt/base/error.hpp"

namespace perwatt::plan {

/// After a solve: true when it proved an optimum, false when it proved that there is none. Solved
/// again from scratch, then with presolve, when numerical trouble kept it from either. Throws
/// Error(internal_error) when that does not help.
inline bool ends_optimal(ClpSimplex& simplex) {
  const auto is_answered = [&] {
    return simplex.isProvenOptimal() || simplex.isProvenPrimalInfeasible();
  };
  if (!is_answered()) {
    simplex.allSlackBasis(true);
    simplex.dual();
  }
  if (!is_answered()) {
    simplex.allSlackBasis(true);
    simplex.initialSolve();
  }
  if (!is_answered()) {
    throw Error{ErrorCode::internal_error,
                "the linear program ended with solver status " + std::to_string(simplex.status()),
                "", "report this with the site file"};
  }
  return simplex.isProvenOptimal();
}

}  // namespace perwatt::plan
