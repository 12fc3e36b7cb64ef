// Allocation problems as JSON (docs/reference/allocate.md), so that others can check the answers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "perwatt/allocate/problem.hpp"

namespace perwatt::allocate {

/// A name as the file has it; numbers are names too.
struct Id {
  std::string text;
  bool is_number = false;
};

/// A problem and what its parts are called. Parts are in the file's order but for nodes, which
/// stand parents first.
struct NamedProblem {
  Problem problem;
  std::vector<Id> nodes;
  std::vector<Id> devices;
  std::vector<Id> guarantees;
  std::vector<Id> cap_groups;
  std::vector<Id> cross_limits;
};

/// `name` stands for the file in messages. Throws Error(bad_input) naming the node or device: a
/// parent that is not there, a cycle, no root or two, two parts of one name, a limit or a point
/// that is negative or not finite, a curve that is not concave, an unknown guarantee, a cross
/// limit of an unknown device, more than 32 priorities beside groups or cross limits.
[[nodiscard]] NamedProblem read_problem(std::string_view json, const std::string& name);

}  // namespace perwatt::allocate
