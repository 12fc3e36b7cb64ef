#include "perwatt/allocate/allocator.hpp"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "group_program.hpp"
#include "incremental.hpp"
#include "laminar.hpp"
#include "tree_order.hpp"
#include "tree_state.hpp"

namespace perwatt::allocate {

namespace {

constexpr int kUpdatesInARow = 4096;   // then sums are made anew
constexpr std::size_t kLargePart = 8;  // one device in so many: a full solve is as quick

/// What solves one policy: keys are slopes, or class and slope.
template <class Key>
class Engine {
 public:
  Engine(const Problem& problem, const TreeOrder& order)
      : problem_{problem},
        order_{order},
        state_{problem, order},
        program_{problem, order, state_},
        incremental_{order, state_} {}

  void solve(Allocation& answer) {
    program_.solve(answer);
    incremental_.forget();
    changes_ = 0;
    updates_ = 0;
  }

  /// The problem holds the new limit already.
  void limit_changed(NodeIndex node, Watts before) {
    const Watts now = problem_.nodes()[static_cast<std::size_t>(node)].limit;
    if (now == before) {
      return;
    }
    ++changes_;
    incremental_.room_changed(order_.place_of[static_cast<std::size_t>(node)],
                              (now - before).in_base());
  }

  /// The problem holds the new curve already. False when the table has no room for it.
  bool curve_changed(DeviceIndex device) {
    const auto index = static_cast<std::size_t>(device);
    const auto place = order_.place_of_device[index];
    incremental_.device_changes(place);
    if (!state_.table.replace(place, problem_.curve(device),
                              problem_.devices()[index].terms.priority)) {
      return false;
    }
    ++changes_;
    return true;
  }

  [[nodiscard]] std::size_t update_count() const { return update_count_; }

  void resolve(Allocation& answer) {
    const bool is_little = changes_ * kLargePart < problem_.devices().size() + kLargePart;
    if (answer.status == Status::optimal && is_little && updates_ < kUpdatesInARow &&
        incremental_.has_windows() && incremental_.update(answer)) {
      ++updates_;
      ++update_count_;
      changes_ = 0;
      return;
    }
    const bool had_windows = incremental_.has_windows();
    solve(answer);
    // Windows that just failed on a small change are not made for the next one, too.
    if (answer.status == Status::optimal && is_little && (!had_windows || !has_just_failed_)) {
      incremental_.make_windows();
    }
    has_just_failed_ = had_windows && is_little;
  }

 private:
  const Problem& problem_;
  const TreeOrder& order_;
  TreeState<Key> state_;
  LaminarProgram<Key> program_;
  IncrementalProgram<Key> incremental_;
  std::size_t changes_ = 0;
  int updates_ = 0;
  std::size_t update_count_ = 0;
  bool has_just_failed_ = false;
};

}  // namespace

struct Allocator::Impl {
  explicit Impl(Problem given) : problem{std::move(given)}, order{problem} { lay_out(); }

  void lay_out() {
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

  void add_groups() {
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
};

Allocator::Allocator(Problem problem) : impl_{std::make_unique<Impl>(std::move(problem))} {}

Allocator::~Allocator() = default;
Allocator::Allocator(Allocator&&) noexcept = default;
Allocator& Allocator::operator=(Allocator&&) noexcept = default;

const Allocation& Allocator::solve() {
  std::visit([&](auto& engine) { engine->solve(impl_->answer); }, impl_->engine);
  impl_->add_groups();
  return impl_->answer;
}

void Allocator::set_limit(NodeIndex node, Watts limit) {
  const Watts before = impl_->problem.nodes()[static_cast<std::size_t>(node)].limit;
  impl_->problem.set_limit(node, limit);
  std::visit([&](auto& engine) { engine->limit_changed(node, before); }, impl_->engine);
}

void Allocator::set_curve(DeviceIndex device, std::span<const CurvePoint> curve) {
  impl_->problem.set_curve(device, curve);
  if (!std::visit([&](auto& engine) { return engine->curve_changed(device); }, impl_->engine)) {
    impl_->lay_out();
  }
}

const Allocation& Allocator::resolve() {
  if (impl_->has_groups_in_answer) {
    return solve();
  }
  std::visit([&](auto& engine) { engine->resolve(impl_->answer); }, impl_->engine);
  impl_->add_groups();
  return impl_->answer;
}

std::size_t Allocator::update_count() const {
  return std::visit([](const auto& engine) { return engine->update_count(); }, impl_->engine);
}

}  // namespace perwatt::allocate
