// Measured times of one kernel in one format on one accelerator and engine, and estimates between
// them. Method and errors on left-out rows: docs/model/operators.md.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "perwatt/base/result.hpp"
#include "perwatt/base/tag.hpp"
#include "perwatt/base/units.hpp"
#include "perwatt/inference/operator_shape.hpp"

namespace perwatt::inference {

/// One measurement.
struct OperatorRow {
  OperatorShape shape;
  Seconds latency;
  std::optional<Watts> power;  // mean of the board; only kernels of 0.3 ms and more
};

/// How an estimate follows from measurements.
enum class OperatorRelation {
  measured,      // this shape
  interpolated,  // between measured token counts, sequences and batches of this site
  held,          // beyond the measured range of this site, at its last utilisation
  borrowed       // from other sites: (n, k), head group, expert shape
};

[[nodiscard]] std::string_view to_string(OperatorRelation relation);

struct OperatorEstimate {
  Seconds latency;
  double utilisation = 0;      // speed of light / latency; above 1 where operands stay in cache
  std::optional<Watts> power;  // only for latencies of 0.3 ms and more, where rows near have it
  OperatorRelation relation = OperatorRelation::measured;
  double octaves = 0;  // to the nearest row, in factors of two of the shape
  /// 90 % of left-out rows at this relation and distance lie within +- this share of the latency.
  double relative_half_width = 0;
};

/// measured, interpolated, or modelled for the weaker relations.
[[nodiscard]] Tag tag_of(OperatorRelation relation);

/// Rows that tests leave out.
enum class HoldOut { nothing, row, site };

/// Immutable; safe to use from many threads.
class OperatorFamily {
 public:
  /// Of rows with the same shape the last counts.
  /// REQUIRES: at least one row; positive shapes and latencies.
  OperatorFamily(Operator op, OperatorFormat format, OperatorRates rates,
                 std::vector<OperatorRow> rows);

  [[nodiscard]] Operator op() const { return op_; }

  [[nodiscard]] const OperatorFormat& format() const { return format_; }

  [[nodiscard]] const OperatorRates& rates() const { return rates_; }

  [[nodiscard]] std::span<const OperatorRow> rows() const { return rows_; }

  /// Time of one kernel of this shape. A failure says why nothing near enough was measured: a site
  /// farther than two octaves from every other, a range left by more than three octaves upwards or
  /// one downwards. Throws Error(bad_input) for a shape of another operator or with a number that
  /// is not positive and finite.
  [[nodiscard]] Result<OperatorEstimate> estimate(const OperatorShape& shape) const;

  /// The estimate for `row` (an index into rows()) as if it, or every row of its site, were
  /// unknown.
  [[nodiscard]] Result<OperatorEstimate> estimate_without(std::size_t row, HoldOut hold_out) const;

  /// Whether the row's place is the first or last of its curve.
  [[nodiscard]] bool is_at_edge(std::size_t row) const;

 private:
  static constexpr std::size_t kKeySize = 6;
  static constexpr std::size_t kCoordinates = 5;

  /// What names a site: (n, k); heads per KV head; heads; or the expert shape.
  using Key = std::array<double, kKeySize>;

  /// A shape in the order the tables are kept in.
  struct Query {
    Key key{};
    double level = 1;  // batch x KV heads; batch; 1
    double split = 1;  // KV heads; 1
    double place = 0;  // tokens or sequence
  };

  struct Node {
    double place;
    double log_place;  // log2
    double axis;       // place to the power in which latency is nearly linear
    double seconds;
    double watts;  // 0: none
  };

  struct Curve {
    double split;
    std::vector<Node> nodes;  // rising place
  };

  struct Line {
    double level;
    double log_level;  // log2
    std::vector<Curve> curves;
  };

  struct Site {
    Key key;
    std::array<double, kCoordinates> coordinates;  // log2
    std::vector<Line> lines;                       // rising level
  };

  /// A time read off the tables.
  struct Reading {
    double seconds = 0;
    double watts = 0;
    double octaves = 0;
    OperatorRelation relation = OperatorRelation::measured;
    double most_utilisation = 0;  // of the rows it rests on
  };

  /// What is taken to be unknown.
  struct Unknown {
    const Site* site = nullptr;
    const Node* node = nullptr;
  };

  struct Bracket {
    const Node* low = nullptr;
    const Node* high = nullptr;  // equal at a node
  };

  struct Neighbour {
    double squared_octaves = 0;
    const Site* site = nullptr;
  };

  struct Neighbours {
    std::array<Neighbour, 9> nearest;  // by distance
    std::size_t count = 0;
  };

  [[nodiscard]] Query query_of(const OperatorShape& shape) const;
  [[nodiscard]] OperatorShape shape_of(const Query& query) const;
  [[nodiscard]] double light_seconds(const Query& query) const;
  [[nodiscard]] double axis_of(double place) const;
  [[nodiscard]] std::array<double, kCoordinates> coordinates_of(const Key& key) const;
  [[nodiscard]] const Site* find_site(const Key& key) const;
  [[nodiscard]] const Node* find_node(const Query& query) const;

  [[nodiscard]] static Bracket bracket(const Curve& curve, double place, const Node* unknown);
  [[nodiscard]] Reading between(const Bracket& around, double place) const;
  [[nodiscard]] std::optional<Reading> on_line(const Line& line, const Query& query,
                                               const Node* unknown) const;
  [[nodiscard]] static const Curve* nearest_curve(const Line& line, const Query& query,
                                                  const Curve* other_than, const Node* unknown);
  [[nodiscard]] std::optional<Reading> in_site(const Site& site, const Query& query,
                                               const Node* unknown) const;
  [[nodiscard]] std::optional<Reading> between_lines(const Site& site, const Query& query,
                                                     const Node* unknown) const;
  [[nodiscard]] static std::array<const Node*, 4> nodes_near(const Curve& curve, double place);
  [[nodiscard]] std::optional<Reading> beyond(const Site& site, const Query& query,
                                              const Node* unknown) const;
  [[nodiscard]] std::size_t dimensions() const;
  [[nodiscard]] Neighbours neighbours(const Query& query, const Site* unknown) const;
  [[nodiscard]] std::optional<Reading> borrowed(const Query& query, const Unknown& unknown) const;
  [[nodiscard]] Result<OperatorEstimate> answer(const Query& query, const Unknown& unknown) const;

  Operator op_;
  OperatorFormat format_;
  OperatorRates rates_;
  std::vector<OperatorRow> rows_;
  std::vector<Site> sites_;   // by key
  double floor_seconds_ = 0;  // shortest kernel of the table: what a launch costs
};

}  // namespace perwatt::inference
