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
#include <ClpSimplex.hpp>
#include <CoinPackedMatrix.hpp>

#include "perwatt/base/error.hpp"

namespace perwatt::allocate {

namespace {

constexpr double kNoBound = std::numeric_limits<double>::max();
constexpr double kPricedOut = 1e-9;  // of the greatest worth: a piece this near to 0 stays out
// Of rows, in units of a typical piece; the next where rows are met only within rounding.
constexpr std::array<double, 3> kTolerances{1e-9, 1e-8, 1e-7};
constexpr double kFeasible = 1e-7;   // of a typical piece, over all rows
constexpr double kShort = 1e-6;      // of a guarantee: less is not met
constexpr double kClassKept = 1e-9;  // of a class's value: what later classes may cost it
constexpr std::size_t kMostEntries = 50000000;
constexpr std::size_t kFewColumns = 20000;  // so many are solved at once
constexpr std::size_t kBatch = 10000;       // so many more come in at a time

struct Row {
  double lower = -kNoBound;
  double upper = kNoBound;
};

/// The rows of a problem: nodes that can be full, cross limits, guarantees, values of classes
/// already settled.
class GroupProgram {
 public:
  GroupProgram(const Problem& problem, const TreeOrder& order, Allocation& answer)
      : problem_{problem}, order_{order}, answer_{answer}, columns_{problem, answer.device_watts} {}

  void run() {
    if (!columns_.split.empty() || !lay_out_nodes() || !lay_out_cross_limits()) {
      answer_.split = columns_.split;
      answer_.status = Status::infeasible;
      return;
    }
    lay_out_guarantees();
    lay_out_columns();
    if (!make_feasible()) {
      answer_.status = Status::infeasible;
      return;
    }
    price_.assign(problem_.nodes().size() + problem_.cross_limits().size(), 0.0);
    for (std::size_t k = 0; k < columns_.classes.size(); ++k) {
      settle_class(k);
    }
    write_answer();
  }

 private:
  using Entry = std::pair<std::uint32_t, double>;  // row, coefficient

  [[nodiscard]] std::size_t place_of_parent(std::uint32_t device) const {
    return order_.place_of[static_cast<std::size_t>(problem_.devices()[device].parent)];
  }

  /// A row for each node that the devices below could fill; false when least watts do not fit.
  bool lay_out_nodes() {
    const std::size_t count = order_.node_at.size();
    std::vector<double> least(count, 0.0);
    std::vector<double> most(count, 0.0);
    for (const auto& column : columns_.columns) {
      for (std::size_t m = 0; m < column.member_count; ++m) {
        most[place_of_parent(columns_.members[column.first_member + m])] += column.watts;
      }
    }
    for (std::uint32_t d = 0; d < columns_.least_watts.size(); ++d) {
      least[place_of_parent(d)] += columns_.least_watts[d];
    }
    row_of_place_.assign(count, TreeOrder::kNone);
    for (std::size_t place = 0; place < count; ++place) {
      const double limit = problem_.nodes()[order_.node_at[place]].limit.in_base();
      const double room = limit - least[place];
      if (room < -limit * kSumRounding) {
        answer_.overfull.push_back(NodeIndex{order_.node_at[place]});
      }
      if (most[place] > room) {
        row_of_place_[place] = static_cast<std::uint32_t>(rows_.size());
        rows_.push_back({-kNoBound, std::max(room, 0.0)});
        most[place] = std::max(room, 0.0);
      }
      if (order_.parent[place] != TreeOrder::kNone) {
        least[order_.parent[place]] += least[place];
        most[order_.parent[place]] += most[place];
      }
    }
    return answer_.overfull.empty();
  }

  /// A row for each; false when least watts do not fit.
  bool lay_out_cross_limits() {
    first_cross_ = static_cast<std::uint32_t>(rows_.size());
    crossed_.resize(columns_.least_watts.size());
    const auto limits = problem_.cross_limits();
    for (std::uint32_t k = 0; k < limits.size(); ++k) {
      const double limit = limits[k].limit.in_base();
      double room = limit;
      for (const auto& [device, ratio] : limits[k].shares) {
        crossed_[static_cast<std::size_t>(device)].emplace_back(first_cross_ + k, ratio);
        room -= ratio * columns_.least_watts[static_cast<std::size_t>(device)];
      }
      if (room < -limit * kSumRounding) {
        answer_.overfull_cross.push_back(CrossLimitIndex{k});
      }
      rows_.push_back({-kNoBound, std::isinf(limit) ? kNoBound : std::max(room, 0.0)});
    }
    return answer_.overfull_cross.empty();
  }

  void lay_out_guarantees() {
    first_guarantee_ = static_cast<std::uint32_t>(rows_.size());
    for (const Watts watts : problem_.guarantees()) {
      rows_.push_back({watts.in_base(), kNoBound});
    }
    for (std::uint32_t d = 0; d < columns_.least_watts.size(); ++d) {
      if (const auto guarantee = problem_.devices()[d].terms.guarantee) {
        rows_[first_guarantee_ + static_cast<std::size_t>(*guarantee)].lower -=
            columns_.least_watts[d];
      }
    }
  }

  /// The rows of each column, the units of watts and worth.
  void lay_out_columns() {
    std::size_t steps = 0;
    std::map<std::uint32_t, double> entries;
    row_from_.assign(row_of_place_.size(), TreeOrder::kNone);
    for (std::size_t place = row_from_.size(); place-- > 0;) {
      if (row_of_place_[place] != TreeOrder::kNone) {
        row_from_[place] = static_cast<std::uint32_t>(place);
      } else if (order_.parent[place] != TreeOrder::kNone) {
        row_from_[place] = row_from_[order_.parent[place]];
      }
    }
    first_entry_.push_back(0);
    for (const auto& column : columns_.columns) {
      entries.clear();
      for (std::size_t m = 0; m < column.member_count; ++m) {
        const std::uint32_t device = columns_.members[column.first_member + m];
        for (auto place = row_from_[place_of_parent(device)]; place != TreeOrder::kNone;) {
          entries[row_of_place_[place]] += 1.0;
          ++steps;
          const auto parent = order_.parent[place];
          place = parent == TreeOrder::kNone ? TreeOrder::kNone : row_from_[parent];
        }
        for (const auto& [row, ratio] : crossed_[device]) {
          entries[row] += ratio;
          ++steps;
        }
        if (const auto guarantee = problem_.devices()[device].terms.guarantee) {
          entries[first_guarantee_ + static_cast<std::uint32_t>(*guarantee)] += 1.0;
        }
      }
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
      is_open_.push_back(columns_.columns.size() <= kFewColumns || column.member_count > 1 ||
                         (column.start > 0 && column.start < column.watts));
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
    for (const Row& row : rows_) {
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
      if (dual_[first_guarantee_ + g] < -kPricedOut) {
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
    for (std::size_t place = 0; place < row_of_place_.size(); ++place) {
      if (row_of_place_[place] != TreeOrder::kNone) {
        add(order_.node_at[place], row_of_place_[place]);
      }
    }
    for (std::uint32_t k = 0; k < problem_.cross_limits().size(); ++k) {
      add(problem_.nodes().size() + k, first_cross_ + k);
    }
    gains_.push_back(std::move(gain));
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
      used[place_of_parent(d)] += device_watts[d];
    }
    for (std::size_t place = 0; place < used.size(); ++place) {
      if (order_.parent[place] != TreeOrder::kNone) {
        used[order_.parent[place]] += used[place];
      }
      const std::size_t node = order_.node_at[place];
      answer_.nodes[node] = {Watts::from_base(used[place]), price_[node], price_[node]};
    }
    answer_.cross_limits.clear();
    for (std::size_t k = 0; k < problem_.cross_limits().size(); ++k) {
      answer_.cross_limits.push_back({cross_sum(problem_.cross_limits()[k], answer_.device_watts),
                                      price_[used.size() + k], price_[used.size() + k]});
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
  std::vector<Row> rows_;
  std::vector<std::uint32_t> row_of_place_;
  std::vector<std::uint32_t> row_from_;  // by place: the nearest with a row, itself or above
  std::uint32_t first_cross_ = 0;
  std::vector<std::vector<Entry>> crossed_;  // by device: rows of cross limits
  std::uint32_t first_guarantee_ = 0;
  std::uint32_t first_class_ = 0;
  std::vector<double> class_unit_;  // by class settled
  std::vector<Entry> entries_;
  std::vector<std::size_t> first_entry_;
  std::vector<double> width_;  // watts by column: those that limits leave, and more of the column
  double watts_unit_ = 1;
  std::vector<double> level_;  // watts by column
  std::vector<char> is_open_;
  std::vector<double> dual_;                // by row, in units of the objective
  std::vector<double> price_;               // by node, then by cross limit
  std::vector<std::vector<double>> gains_;  // by class settled, as price_
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
