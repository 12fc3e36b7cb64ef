// What measured relatives know that the physical terms do not: the logarithm of predicted over
// measured, as a Gaussian process over deployments and load (Rasmussen & Williams, Gaussian
// Processes for Machine Learning, 2006, ch. 2). Terms, widths and what they gained: ADR 0009 and
// docs/model/serving.md#borrowing.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace perwatt::inference::serving {

/// What two rows may have in common.
struct Traits {
  std::string accelerator;
  std::string engine;        // family; routers left out
  std::string architecture;  // models of one architecture are one
  std::string precision;     // fp4 for all 4-bit floats
  std::string spec_decode;
  std::string source;  // whose client measured; empty: not known
  bool is_disaggregated = false;
  bool is_task = false;         // lengths of a data set, not nominal ones
  double log2_concurrency = 0;  // per decode instance
  double log2_input_tokens = 0;
  double log2_output_tokens = 0;
  double log2_instance_gpus = 0;
  double age_quarters = 0;
};

/// One family of measured rows within a range of loads.
struct Relative {
  Traits traits;        // means of its rows
  double residual = 0;  // median of ln(predicted / measured)
  int rows = 0;
  std::string label;  // for people
  double weight = 0;  // in predictions; set by weigh()
};

/// Standard deviations and reaches, in logarithms. Round numbers: fitting them by marginal
/// likelihood gained nothing on families left out.
struct BorrowingWidths {
  double term = 0.09;                // of each kind of likeness
  double concurrency_share = 0.378;  // of a term that fades with the distance in load
  double concurrency_octaves = 3;
  double lengths_share = 0.5;  // of a near term that fades with lengths and instance size
  double lengths_octaves = 2.5;
  double gpus_octaves = 1;
  double age_quarters = 4;
  double noise = 0.08;            // of a relative
  double noise_of_row = 0.10;     // over the root of its rows
  double largest_residual = 0.6;  // residuals beyond are cut
};

/// Traits with names as numbers: two rows are compared about a hundred thousand times.
struct Place {
  int accelerator = 0;
  int engine = 0;
  int architecture = 0;
  int precision = 0;
  int spec_decode = 0;
  int source = 0;
  bool is_disaggregated = false;
  bool is_task = false;
  double log2_concurrency = 0;
  double log2_input_tokens = 0;
  double log2_output_tokens = 0;
  double log2_instance_gpus = 0;
  double age_quarters = 0;
};

/// A correction to ln(predicted).
struct Borrowed {
  double shift = 0;         // expected ln(predicted / measured)
  double spread = 0;        // its standard deviation, without the noise of one row
  double prior_spread = 0;  // the same before any relative was seen
  std::string nearest;      // label of the relative that counts most; empty: none
};

/// Sets the weights: the residuals against the covariance of all relatives and their noise. Cubic
/// in their number.
void weigh(std::vector<Relative>& relatives, const BorrowingWidths& widths);

/// Immutable; safe to read from many threads.
class Borrowing {
 public:
  /// Nothing to borrow from.
  Borrowing() = default;

  /// `relatives` as weighed with the same widths.
  Borrowing(std::vector<Relative> relatives, const BorrowingWidths& widths);

  /// Expected ln(predicted / measured) of a row like this; 0 without relatives. Linear in their
  /// number.
  [[nodiscard]] double shift(const Traits& traits) const;

  /// The same with its spread, which is of the nearest relatives only and so never too small.
  [[nodiscard]] Borrowed borrow(const Traits& traits) const;

  [[nodiscard]] const std::vector<Relative>& relatives() const { return relatives_; }

  [[nodiscard]] const BorrowingWidths& widths() const { return widths_; }

 private:
  std::vector<Relative> relatives_;
  BorrowingWidths widths_;
  std::vector<std::string> names_;  // sorted
  std::vector<Place> places_;
};

}  // namespace perwatt::inference::serving
