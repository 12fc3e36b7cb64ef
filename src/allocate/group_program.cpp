#include "group_program.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "group_columns.hpp"
#include "group_rows.hpp"
#include "one_sided_prices.hpp"
#include <ClpSimplex.hpp>
#include <CoinPackedMatrix.hpp>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::allocate {

namespace {

constexpr double kPricedOut = 1e-9;  // of the greatest worth: a piece this near to 0 stays out
// Of rows, in units of a typical piece; the next where rows are met only within rounding.
constexpr std::array<double, 3> kTolerances{1e-9, 1e-8, 1e-7};
constexpr double kFeasible = 1e-7;  // of a typical piece, over all rows
constexpr double kShort = 1e-6;     // of a guarantee: less is not met
constexpr double kAtBound = 1e-7;   // of a typical piece, or of a sum: so near is met
constexpr double kPassed = 1e-6;    // of a limit, and of a typical piece: more is refused
constexpr std::size_t kMostForPrices = 20000000;  // rows asked for times size of the program
constexpr double kClassKept = 1e-9;  // of a class's value: what later classes may cost it
constexpr std::size_t kMostEntries = 50000000;
constexpr std::size_t kFewColumns = 20000;  // so many are solved at once
constexpr std::size_t kBatch = 10000;       // so many more come in at a time

/// The rows of a problem: nodes that can be full, cross limits, guarantees, values of classes
/// already settled.
class GroupProgram {
 public:
  GroupProgram(const Problem& problem, const TreeOrder& order, Allocation& answer)
      : problem_{problem},
        order_{order},
        answer_{answer},
        columns_{problem, answer.device_watts},
        layout_{problem, order, columns_},
        rows_{layout_.rows} {}

  void run() {
    answer_.split = columns_.split;
    answer_.overfull = layout_.overfull;
    answer_.overfull_cross = layout_.overfull_cross;
    if (!answer_.split.empty() || !answer_.overfull.empty() || !answer_.overfull_cross.empty()) {
      answer_.status = Status::infeasible;
      return;
    }
    lay_out_columns();
    if (!make_feasible()) {
      answer_.status = Status::infeasible;
      return;
    }
    price_.assign(problem_.nodes().size() + problem_.cross_limits().size(), 0.0);
    for (std::size_t k = 0; k < columns_.classes.size(); ++k) {
      settle_class(k);
    }
    loss_.assign(price_.begin(), price_.end());
    if (problem_.policy() == Policy::value) {
      split_prices();
    }
    write_answer();
    refuse_passed_limits();
  }

 private:
  using Entry = std::pair<std::uint32_t, double>;  // row, coefficient

  /// The rows of each column, the units of watts and worth.
  void lay_out_columns() {
    std::size_t steps = 0;
    std::map<std::uint32_t, double> entries;
    first_entry_.push_back(0);
    for (const auto& column : columns_.columns) {
      layout_.entries_of(column, entries, steps);
      double width = column.watts;
      for (const auto& [row, coefficient] : entries) {
        if (rows_[row].upper != kNoBound) {
          width = std::min(width, rows_[row].upper / coefficient);
        }
      }
      width_.push_back(width);
      entries_.insert(entries_.end(), entries.begin(), entries.end());
      if (steps > kMostEntries) {
        throw_bad_input("groups that cross branches make a program of more than " +
                            std::to_string(kMostEntries) + " entries",
                        "", "leave out the groups, or limits that never bind");
      }
      first_entry_.push_back(entries_.size());
    }
    watts_unit_ = typical_width();
    // What only a limit stops must not meet a bound of its own there: the price is the limit's.
    for (std::size_t j = 0; j < width_.size(); ++j) {
      width_[j] = std::min(columns_.columns[j].watts, std::max(2 * width_[j], watts_unit_));
    }
    level_.reserve(columns_.columns.size());
    for (const auto& column : columns_.columns) {
      level_.push_back(column.start);
      const bool is_open = columns_.columns.size() <= kFewColumns || column.is_cap_group ||
                           (column.start > 0 && column.start < column.watts);
      is_open_.push_back(is_open ? 1 : 0);
    }
    dual_.assign(rows_.size(), 0.0);
  }

  /// The middle of the widths that limits leave: one that is out of scale must not set the unit.
  [[nodiscard]] double typical_width() const {
    std::vector<double> widths;
    std::copy_if(width_.begin(), width_.end(), std::back_inserter(widths),
                 [](double width) { return width > 0; });
    if (widths.empty()) {
      return 1.0;
    }
    const auto middle = widths.begin() + static_cast<std::ptrdiff_t>((widths.size() - 1) / 2);
    std::nth_element(widths.begin(), middle, widths.end());
    return *middle;
  }

  [[nodiscard]] double worth(std::size_t column, std::size_t k) const {
    const auto& c = columns_.columns[column];
    for (std::size_t w = c.first_worth; w < c.first_worth + c.worth_count; ++w) {
      if (columns_.worths[w].first == columns_.classes[k]) {
        return columns_.worths[w].second;
      }
    }
    return 0;
  }

  /// Coefficients of the column in the rows of classes settled so far, after those of its own.
  void add_class_entries(std::size_t column, std::vector<Entry>& entries) const {
    for (std::size_t k = 0; k < class_unit_.size(); ++k) {
      const double value = worth(column, k);
      if (value != 0) {
        entries.emplace_back(first_class_ + static_cast<std::uint32_t>(k), value / class_unit_[k]);
      }
    }
  }

  [[nodiscard]] std::vector<Entry> entries_of(std::size_t column) const {
    std::vector<Entry> entries(
        entries_.begin() + static_cast<std::ptrdiff_t>(first_entry_[column]),
        entries_.begin() + static_cast<std::ptrdiff_t>(first_entry_[column + 1]));
    add_class_entries(column, entries);
    return entries;
  }

  /// Solves over the open columns, opens those that prices call in, until none is.
  /// `objective` per watt by column; `is_elastic`: rows may be broken at a cost of 1 a unit.
  double optimise(const std::vector<double>& objective, bool is_elastic) {
    for (;;) {
      const double result = solve_open(objective, is_elastic);
      std::vector<std::pair<double, std::size_t>> called;
      for (std::size_t j = 0; j < level_.size(); ++j) {
        if (is_open_[j]) {
          continue;
        }
        const double reduced = reduced_cost(j, objective);
        const double gain = level_[j] > 0 ? -reduced : reduced;
        if (gain > kPricedOut) {
          called.emplace_back(gain, j);
        }
      }
      if (called.empty()) {
        return result;
      }
      if (called.size() > kBatch) {
        std::nth_element(called.begin(), called.begin() + kBatch, called.end(),
                         [](const auto& a, const auto& b) {
                           return a.first > b.first || (a.first == b.first && a.second < b.second);
                         });
        called.resize(kBatch);
      }
      for (const auto& [gain, j] : called) {
        is_open_[j] = true;
      }
    }
  }

  [[nodiscard]] double reduced_cost(std::size_t column,
                                    const std::vector<double>& objective) const {
    double reduced = objective[column];
    for (const auto& [row, coefficient] : entries_of(column)) {
      reduced -= coefficient * dual_[row];
    }
    return reduced;
  }

  double solve_open(const std::vector<double>& objective, bool is_elastic) {
    std::vector<double> row_lower;
    std::vector<double> row_upper;
    for (const GroupRow& row : rows_) {
      row_lower.push_back(row.lower == -kNoBound ? -COIN_DBL_MAX : row.lower / watts_unit_);
      row_upper.push_back(row.upper == kNoBound ? COIN_DBL_MAX : row.upper / watts_unit_);
    }
    std::vector<int> starts{0};
    std::vector<int> indices;
    std::vector<double> values;
    std::vector<double> upper;
    std::vector<double> cost;
    std::vector<std::size_t> open;
    double fixed_objective = 0;
    for (std::size_t j = 0; j < level_.size(); ++j) {
      const auto entries = entries_of(j);
      if (!is_open_[j]) {
        fixed_objective += objective[j] * level_[j] / watts_unit_;
        for (const auto& [row, coefficient] : entries) {
          row_lower[row] -= coefficient * level_[j] / watts_unit_;
          row_upper[row] -= coefficient * level_[j] / watts_unit_;
        }
        continue;
      }
      open.push_back(j);
      for (const auto& [row, coefficient] : entries) {
        indices.push_back(static_cast<int>(row));
        values.push_back(coefficient);
      }
      starts.push_back(static_cast<int>(indices.size()));
      upper.push_back(width_[j] / watts_unit_);
      cost.push_back(objective[j]);
    }
    if (is_elastic) {
      for (std::size_t row = 0; row < rows_.size(); ++row) {
        indices.push_back(static_cast<int>(row));
        values.push_back(rows_[row].upper == kNoBound ? 1.0 : -1.0);
        starts.push_back(static_cast<int>(indices.size()));
        upper.push_back(COIN_DBL_MAX);
        cost.push_back(-1.0);
      }
    }
    const std::vector<double> lower(upper.size(), 0.0);
    const CoinPackedMatrix matrix{true,
                                  static_cast<int>(rows_.size()),
                                  static_cast<int>(upper.size()),
                                  static_cast<int>(values.size()),
                                  values.data(),
                                  indices.data(),
                                  starts.data(),
                                  nullptr};
    ClpSimplex simplex;
    simplex.setLogLevel(0);
    simplex.loadProblem(matrix, lower.data(), upper.data(), cost.data(), row_lower.data(),
                        row_upper.data());
    simplex.setOptimizationDirection(-1.0);
    simplex.setDualTolerance(kTolerances.front());
    for (const double tolerance : kTolerances) {
      simplex.setPrimalTolerance(tolerance);
      simplex.dual();
      if (simplex.status() == 0) {
        break;
      }
      simplex.primal();
      if (simplex.status() == 0) {
        break;
      }
    }
    if (simplex.status() != 0) {
      throw Error{
          ErrorCode::internal_error,
          "the split over groups ended with solver status " + std::to_string(simplex.status()), "",
          "please report it with the problem"};
    }
    for (std::size_t i = 0; i < open.size(); ++i) {
      level_[open[i]] = std::clamp(simplex.getColSolution()[i], 0.0, upper[i]) * watts_unit_;
    }
    dual_.assign(simplex.getRowPrice(), simplex.getRowPrice() + rows_.size());
    return simplex.getObjValue() + fixed_objective;
  }

  bool make_feasible() {
    const std::vector<double> nothing(level_.size(), 0.0);
    const double broken = -optimise(nothing, true);
    if (broken <= kFeasible) {
      return true;
    }
    // The prices of what cannot be had together: a guarantee with a price is one of those.
    for (std::size_t g = 0; g < problem_.guarantees().size(); ++g) {
      if (dual_[layout_.first_guarantee + g] < -kPricedOut) {
        answer_.unmet.push_back(GuaranteeIndex{static_cast<std::uint32_t>(g)});
      }
    }
    return false;
  }

  /// The most of a class's value; from then on a row keeps it.
  void settle_class(std::size_t k) {
    double unit = 0;
    std::vector<double> objective(level_.size());
    for (std::size_t j = 0; j < level_.size(); ++j) {
      objective[j] = worth(j, k);
      unit = std::max(unit, std::abs(objective[j]));
    }
    unit = unit > 0 ? unit : 1.0;
    for (auto& worth_per_watt : objective) {
      worth_per_watt /= unit;
    }
    const double best = optimise(objective, false);
    add_prices(unit);
    bound_ = upper_bound(objective) * unit + columns_.least_value;
    if (k + 1 < columns_.classes.size()) {
      if (class_unit_.empty()) {
        first_class_ = static_cast<std::uint32_t>(rows_.size());
      }
      class_unit_.push_back(unit);
      rows_.push_back({(best - (1 + std::abs(best)) * kClassKept) * watts_unit_, kNoBound});
      dual_.push_back(0.0);
    }
  }

  /// What the class's value gains per watt of a limit: the dual of its row, less what
  /// keeping the classes before at their own gains costs.
  void add_prices(double unit) {
    std::vector<double> gain(price_.size(), 0.0);
    const auto add = [&](std::size_t at, std::uint32_t row) {
      double scaled = std::max(dual_[row], 0.0);
      for (std::size_t before = 0; before < class_unit_.size(); ++before) {
        scaled += dual_[first_class_ + before] * gains_[before][at] / class_unit_[before];
      }
      gain[at] = scaled * unit;
      price_[at] += gain[at];
    };
    for (std::size_t place = 0; place < layout_.row_of_place.size(); ++place) {
      if (layout_.row_of_place[place] != TreeOrder::kNone) {
        add(order_.node_at[place], layout_.row_of_place[place]);
      }
    }
    for (std::uint32_t k = 0; k < problem_.cross_limits().size(); ++k) {
      add(problem_.nodes().size() + k, layout_.first_cross + k);
    }
    gains_.push_back(std::move(gain));
  }

  /// Gains and losses where a watt more and one less differ. Left as they are, at the program's one
  /// price, where that would take long or the solver finds no end.
  void split_prices() {
    for (std::size_t place = 0; place < layout_.row_of_place.size(); ++place) {
      if (layout_.row_of_place[place] == TreeOrder::kNone && layout_.has_no_room[place]) {
        loss_[order_.node_at[place]] = std::nullopt;
      }
    }
    auto program = directions();
    std::vector<std::uint32_t> asked;
    std::vector<std::size_t> asked_at;
    const auto ask = [&](std::uint32_t row, std::size_t at) {
      if (program.rows[row].is_at_upper) {
        asked.push_back(row);
        asked_at.push_back(at);
      } else {
        price_[at] = 0;
        loss_[at] = 0;
      }
    };
    for (std::size_t place = 0; place < layout_.row_of_place.size(); ++place) {
      if (layout_.row_of_place[place] != TreeOrder::kNone) {
        ask(layout_.row_of_place[place], order_.node_at[place]);
      }
    }
    for (std::uint32_t k = 0; k < problem_.cross_limits().size(); ++k) {
      ask(layout_.first_cross + k, problem_.nodes().size() + k);
    }
    if (asked.size() * (rows_.size() + level_.size()) > kMostForPrices) {
      return;
    }
    if (const auto prices = one_sided_prices(program, asked)) {
      for (std::size_t i = 0; i < asked.size(); ++i) {
        price_[asked_at[i]] = (*prices)[i].gain;
        loss_[asked_at[i]] = (*prices)[i].loss;
      }
    }
  }

  /// From the optimum.
  [[nodiscard]] DirectionProgram directions() const {
    DirectionProgram program;
    std::vector<double> used(rows_.size(), 0.0);
    const double rounding = kAtBound * watts_unit_;
    for (std::size_t j = 0; j < level_.size(); ++j) {
      program.columns.push_back({worth(j, 0), level_[j] > rounding,
                                 level_[j] < columns_.columns[j].watts - rounding, entries_of(j)});
      for (const auto& [row, coefficient] : program.columns.back().entries) {
        used[row] += coefficient * level_[j];
      }
    }
    for (std::uint32_t row = 0; row < rows_.size(); ++row) {
      const double near = kAtBound * std::max(watts_unit_, std::abs(used[row]));
      const bool has_upper = rows_[row].upper != kNoBound;
      program.rows.push_back(
          {has_upper && used[row] > rows_[row].upper - near,
           rows_[row].lower != -kNoBound && used[row] < rows_[row].lower + near});
    }
    return program;
  }

  /// Tolerances are those of a typical piece: where others are far from it in scale a row may be
  /// passed by much of its own.
  void refuse_passed_limits() const {
    const auto check = [&](Watts used, Watts limit, const char* what) {
      if (used.in_base() > limit.in_base() * (1 + kPassed) + watts_unit_ * kPassed) {
        throw_bad_input(std::string{what} + " of " + shortest(limit.in_base()) +
                            " W would be passed: curves, limits and ratios lie too many orders of "
                            "magnitude apart for the solver",
                        "", "leave out devices and limits that do not matter to the others");
      }
    };
    for (std::size_t n = 0; n < problem_.nodes().size(); ++n) {
      check(answer_.nodes[n].power, problem_.nodes()[n].limit, "the limit of a node");
    }
    for (std::size_t k = 0; k < problem_.cross_limits().size(); ++k) {
      check(answer_.cross_limits[k].power, problem_.cross_limits()[k].limit, "a cross limit");
    }
  }

  /// The Lagrangian's value at the prices: no split makes more.
  [[nodiscard]] double upper_bound(const std::vector<double>& objective) const {
    double bound = 0;
    for (std::size_t row = 0; row < rows_.size(); ++row) {
      bound += rows_[row].upper == kNoBound ? std::min(dual_[row], 0.0) * rows_[row].lower
                                            : std::max(dual_[row], 0.0) * rows_[row].upper;
    }
    for (std::size_t j = 0; j < level_.size(); ++j) {
      bound += std::max(reduced_cost(j, objective), 0.0) * width_[j];
    }
    return bound;
  }

  /// The solver's tolerance is that of a typical piece: a guarantee far below that is checked at
  /// its own scale.
  void refuse_short_guarantees(const std::vector<double>& device_watts) {
    std::vector<double> given(problem_.guarantees().size(), 0.0);
    for (std::size_t d = 0; d < device_watts.size(); ++d) {
      if (const auto guarantee = problem_.devices()[d].terms.guarantee) {
        given[static_cast<std::size_t>(*guarantee)] += device_watts[d];
      }
    }
    for (std::uint32_t g = 0; g < given.size(); ++g) {
      const double watts = problem_.guarantees()[g].in_base();
      if (given[g] < watts * (1 - kShort)) {
        answer_.unmet.push_back(GuaranteeIndex{g});
        answer_.status = Status::infeasible;
      }
    }
  }

  void write_answer() {
    std::vector<double> device_watts = columns_.least_watts;
    long double value = columns_.least_value;
    for (std::size_t j = 0; j < level_.size(); ++j) {
      const auto& column = columns_.columns[j];
      for (std::size_t m = 0; m < column.member_count; ++m) {
        device_watts[columns_.members[column.first_member + m]] += level_[j];
      }
      for (std::size_t w = column.first_worth; w < column.first_worth + column.worth_count; ++w) {
        value += static_cast<long double>(columns_.worths[w].second * level_[j]);
      }
    }
    std::vector<double> used(order_.node_at.size(), 0.0);
    for (std::uint32_t d = 0; d < device_watts.size(); ++d) {
      answer_.device_watts[d] = Watts::from_base(device_watts[d]);
      used[layout_.place_of_parent(d)] += device_watts[d];
    }
    for (std::size_t place = 0; place < used.size(); ++place) {
      if (order_.parent[place] != TreeOrder::kNone) {
        used[order_.parent[place]] += used[place];
      }
      const std::size_t node = order_.node_at[place];
      answer_.nodes[node] = {Watts::from_base(used[place]), price_[node], loss_[node]};
    }
    answer_.cross_limits.clear();
    for (std::size_t k = 0; k < problem_.cross_limits().size(); ++k) {
      answer_.cross_limits.push_back({cross_sum(problem_.cross_limits()[k], answer_.device_watts),
                                      price_[used.size() + k], loss_[used.size() + k]});
    }
    answer_.value = static_cast<double>(value);
    refuse_short_guarantees(device_watts);
    answer_.bound =
        problem_.policy() == Policy::value ? std::max(bound_, answer_.value) : answer_.value;
  }

  const Problem& problem_;
  const TreeOrder& order_;
  Allocation& answer_;
  GroupColumns columns_;
  GroupRows layout_;
  std::vector<GroupRow>& rows_;  // of the layout, then values of classes settled
  std::uint32_t first_class_ = 0;
  std::vector<double> class_unit_;  // by class settled
  std::vector<Entry> entries_;
  std::vector<std::size_t> first_entry_;
  std::vector<double> width_;  // watts by column: those that limits leave, and more of the column
  double watts_unit_ = 1;
  std::vector<double> level_;  // watts by column
  std::vector<char> is_open_;
  std::vector<double> dual_;                 // by row, in units of the objective
  std::vector<double> price_;                // by node, then by cross limit
  std::vector<std::optional<double>> loss_;  // as price_
  std::vector<std::vector<double>> gains_;   // by class settled, as price_
  double bound_ = 0;
};

}  // namespace

Watts cross_sum(const Problem::CrossLimit& limit, std::span<const Watts> device_watts) {
  long double sum = 0;
  for (const auto& [device, ratio] : limit.shares) {
    sum += static_cast<long double>(device_watts[static_cast<std::size_t>(device)].in_base()) *
           static_cast<long double>(ratio);
  }
  return Watts::from_base(static_cast<double>(sum));
}

void solve_groups(const Problem& problem, const TreeOrder& order, Allocation& answer) {
  GroupProgram{problem, order, answer}.run();
}

}  // namespace perwatt::allocate
