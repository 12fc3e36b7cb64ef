#include "perwatt/allocate/allocator.hpp"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "group_program.hpp"
#include "laminar.hpp"
#include "tree_order.hpp"
#include "tree_state.hpp"

namespace perwatt::allocate {

namespace {

/// What solves one policy: keys are slopes, or class and slope.
template <class Key>
struct Engine {
  Engine(const Problem& problem, const TreeOrder& order)
      : state{problem, order}, program{problem, order, state} {}

  TreeState<Key> state;
  LaminarProgram<Key> program;
};

}  // namespace

struct Allocator::Impl {
  explicit Impl(Problem given) : problem{std::move(given)}, order{problem} {
    if (problem.policy() == Policy::value) {
      engine = std::make_unique<Engine<double>>(problem, order);
    } else {
      engine = std::make_unique<Engine<PriorityKey>>(problem, order);
    }
  }

  /// Whether rows that cross branches change the answer: a guarantee that the split keeps by itself
  /// does not.
  [[nodiscard]] bool needs_groups() const {
    std::vector<double> missing;
    for (const Watts watts : problem.guarantees()) {
      missing.push_back(watts.in_base());
    }
    for (std::size_t d = 0; d < problem.devices().size() && !missing.empty(); ++d) {
      if (const auto guarantee = problem.devices()[d].terms.guarantee) {
        missing[static_cast<std::size_t>(*guarantee)] -= answer.device_watts[d].in_base();
      }
    }
    return problem.cap_group_count() > 0 ||
           std::any_of(missing.begin(), missing.end(), [](double watts) { return watts > 0; });
  }

  Problem problem;
  TreeOrder order;
  std::variant<std::unique_ptr<Engine<double>>, std::unique_ptr<Engine<PriorityKey>>> engine;
  Allocation answer;
};

Allocator::Allocator(Problem problem) : impl_{std::make_unique<Impl>(std::move(problem))} {}

Allocator::~Allocator() = default;
Allocator::Allocator(Allocator&&) noexcept = default;
Allocator& Allocator::operator=(Allocator&&) noexcept = default;

const Allocation& Allocator::solve() {
  std::visit([&](auto& engine) { engine->program.solve(impl_->answer); }, impl_->engine);
  if (impl_->answer.status == Status::optimal && impl_->needs_groups()) {
    solve_groups(impl_->problem, impl_->order, impl_->answer);
  }
  return impl_->answer;
}

}  // namespace perwatt::allocate
