#include "perwatt/allocate/allocator.hpp"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "engine.hpp"
#include "group_program.hpp"
#include "tree_order.hpp"

namespace perwatt::allocate {

namespace {

constexpr double kNoSlack = 1e-6;  // watts: a guarantee met so closely decides prices

}  // namespace

struct Allocator::Impl {
  explicit Impl(Problem given) : problem{std::move(given)}, order{problem} { lay_out(); }

  void lay_out() {
    is_out_of_date = false;
    if (problem.policy() == Policy::value) {
      engine = std::make_unique<Engine<double>>(problem, order);
    } else {
      engine = std::make_unique<Engine<PriorityKey>>(problem, order);
    }
  }

  /// Whether rows that cross branches change the answer: a guarantee or a cross limit that the
  /// split keeps by itself does not.
  [[nodiscard]] bool needs_groups() const {
    for (std::size_t k = 0; k < problem.cross_limits().size(); ++k) {
      const Watts limit = problem.cross_limits()[k].limit;
      if (answer.cross_limits[k].power.in_base() > limit.in_base() * (1 - kSumRounding)) {
        return true;
      }
    }
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
           std::any_of(missing.begin(), missing.end(),
                       [](double watts) { return watts > -kNoSlack; });
  }

  void add_groups() {
    answer.cross_limits.clear();
    for (const auto& limit : problem.cross_limits()) {
      answer.cross_limits.push_back({cross_sum(limit, answer.device_watts), 0, 0});
    }
    has_groups_in_answer = answer.status == Status::optimal && needs_groups();
    if (has_groups_in_answer) {
      solve_groups(problem, order, answer);
    }
  }

  Problem problem;
  TreeOrder order;
  std::variant<std::unique_ptr<Engine<double>>, std::unique_ptr<Engine<PriorityKey>>> engine;
  Allocation answer;
  bool has_groups_in_answer = false;
  bool is_out_of_date = false;  // a curve has more points than the engine has room for
  std::size_t update_count = 0;
};

Allocator::Allocator(Problem problem) : impl_{std::make_unique<Impl>(std::move(problem))} {}

Allocator::~Allocator() = default;
Allocator::Allocator(Allocator&&) noexcept = default;
Allocator& Allocator::operator=(Allocator&&) noexcept = default;

const Allocation& Allocator::solve() {
  if (impl_->is_out_of_date) {
    impl_->lay_out();
  }
  std::visit([&](auto& engine) { engine->solve(impl_->answer); }, impl_->engine);
  impl_->add_groups();
  return impl_->answer;
}

void Allocator::set_limit(NodeIndex node, Watts limit) {
  impl_->problem.set_limit(node, limit);
  if (!impl_->is_out_of_date) {
    std::visit([&](auto& engine) { engine->limit_changed(node); }, impl_->engine);
  }
}

void Allocator::set_curve(DeviceIndex device, std::span<const CurvePoint> curve) {
  impl_->problem.set_curve(device, curve);
  if (!impl_->is_out_of_date) {
    impl_->is_out_of_date =
        !std::visit([&](auto& engine) { return engine->curve_changed(device); }, impl_->engine);
  }
}

void Allocator::prefetch(DeviceIndex device) const noexcept {
  impl_->problem.prefetch(device);
  if (const auto* by_value = std::get_if<0>(&impl_->engine)) {
    (*by_value)->prefetch(device);
  } else if (const auto* by_priority = std::get_if<1>(&impl_->engine)) {
    (*by_priority)->prefetch(device);
  }
}

const Allocation& Allocator::resolve() {
  if (impl_->has_groups_in_answer || impl_->is_out_of_date) {
    return solve();
  }
  impl_->update_count +=
      std::visit([&](auto& engine) { return engine->resolve(impl_->answer); }, impl_->engine) ? 1
                                                                                              : 0;
  impl_->add_groups();
  return impl_->answer;
}

const Problem& Allocator::problem() const {
  return impl_->problem;
}

std::size_t Allocator::update_count() const {
  return impl_->update_count;
}

}  // namespace perwatt::allocate
