#include <cmath>
#include <random>
#include <vector>

#include "../serving/robust_fit.hpp"
#include "../serving/symmetric_solve.hpp"
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "perwatt/base/random.hpp"
#include "perwatt/inference/serving/borrowing.hpp"

namespace perwatt::inference::serving {
namespace {

RC_GTEST_PROP(SymmetricSolve, TheSolutionSolves, ()) {
  const std::size_t size = *rc::gen::inRange<std::size_t>(1, 40);
  std::mt19937_64 generator{*rc::gen::arbitrary<std::uint64_t>()};
  std::vector<std::vector<double>> root(size, std::vector<double>(size));
  for (auto& row : root) {
    for (double& value : row) {
      value = uniform_unit(generator) - 0.5;
    }
  }
  SymmetricMatrix matrix{size};
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      for (std::size_t k = 0; k < size; ++k) {
        matrix.lower(i, j) += root[i][k] * root[j][k];
      }
    }
    matrix.lower(i, i) += 0.1;
  }
  std::vector<double> expected(size);
  for (double& value : expected) {
    value = uniform_unit(generator);
  }
  std::vector<double> right(size);
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t j = 0; j < size; ++j) {
      right[i] += matrix.at(i, j) * expected[j];
    }
  }
  factorise(matrix);
  solve_factorised(matrix, right);
  for (std::size_t i = 0; i < size; ++i) {
    RC_ASSERT(std::abs(right[i] - expected[i]) < 1e-8);
  }
}

TEST(SymmetricSolve, RefusesWhatIsNotPositiveDefinite) {
  SymmetricMatrix matrix{2};
  matrix.lower(0, 0) = 1;
  matrix.lower(1, 0) = 2;
  matrix.lower(1, 1) = 1;
  EXPECT_ANY_THROW(factorise(matrix));
}

/// y = a x^b, some rows broken; parameters are ln a and ln b.
struct PowerLawRows {
  std::vector<double> x;
  std::vector<double> log_y;

  [[nodiscard]] std::size_t size() const { return x.size(); }

  [[nodiscard]] double weight(std::size_t) const { return 1; }

  [[nodiscard]] std::span<const std::uint32_t> parameters(std::size_t) const {
    static constexpr std::array<std::uint32_t, 2> kBoth = {0, 1};
    return kBoth;
  }

  [[nodiscard]] Residuals residuals(std::size_t i, std::span<const double> at) const {
    return {at[0] + std::exp(at[1]) * std::log(x[i]) - log_y[i], 0};
  }
};

PowerLawRows rows_of(double a, double b) {
  PowerLawRows rows;
  for (int i = 1; i <= 200; ++i) {
    rows.x.push_back(i);
    rows.log_y.push_back(std::log(a) + b * std::log(i) + (i % 10 == 0 ? 3.0 : 0.0));
  }
  return rows;
}

std::vector<FitParameter> wide_priors() {
  return {{0, 10, -5, 5}, {0, 10, -3, 3}};
}

TEST(RobustFit, FindsALawBehindBrokenRows) {
  std::vector<double> values = {0, 0};
  robust_fit(rows_of(3, 0.5), wide_priors(), FitSettings{0.25, 1, 60}, values);
  EXPECT_NEAR(std::exp(values[0]), 3, 0.05);
  EXPECT_NEAR(std::exp(values[1]), 0.5, 0.01);
}

TEST(RobustFit, KeepsBoundsAndPriors) {
  auto parameters = wide_priors();
  parameters[1].high = std::log(0.4);
  std::vector<double> values = {0, std::log(0.3)};
  robust_fit(rows_of(3, 0.5), parameters, FitSettings{0.25, 1, 60}, values);
  EXPECT_LE(std::exp(values[1]), 0.4 * (1 + 1e-12));
  parameters = wide_priors();
  parameters[0].spread = 1e-4;
  values = {0, 0};
  robust_fit(rows_of(3, 0.5), parameters, FitSettings{0.25, 1, 60}, values);
  EXPECT_NEAR(values[0], 0, 0.01);
}

Traits traits_of(const std::string& accelerator, const std::string& model, double load) {
  Traits traits;
  traits.accelerator = accelerator;
  traits.engine = "vllm";
  traits.architecture = model;
  traits.precision = "fp8";
  traits.spec_decode = "none";
  traits.source = "a";
  traits.log2_concurrency = load;
  return traits;
}

Relative relative_of(const Traits& traits, double residual) {
  Relative relative;
  relative.traits = traits;
  relative.residual = residual;
  relative.rows = 10;
  relative.label = traits.accelerator + " " + traits.architecture;
  return relative;
}

TEST(Borrowing, WithoutRelativesCorrectsNothing) {
  const Borrowing nothing;
  EXPECT_EQ(nothing.shift(traits_of("h200", "a", 3)), 0);
  const auto borrowed = nothing.borrow(traits_of("h200", "a", 3));
  EXPECT_EQ(borrowed.shift, 0);
  EXPECT_EQ(borrowed.spread, borrowed.prior_spread);
  EXPECT_EQ(borrowed.nearest, "");
}

TEST(Borrowing, NearRelativesCountMoreThanFarOnesAndStrangersNothing) {
  const BorrowingWidths widths;
  std::vector<Relative> relatives = {relative_of(traits_of("h200", "a", 3), 0.4)};
  weigh(relatives, widths);
  const Borrowing borrowing{relatives, widths};
  const double same = borrowing.shift(traits_of("h200", "a", 3));
  const double other_model = borrowing.shift(traits_of("h200", "b", 3));
  const double far_load = borrowing.shift(traits_of("h200", "a", 12));
  EXPECT_GT(same, 0.3);
  EXPECT_LT(same, 0.4);
  EXPECT_GT(other_model, 0.05);
  EXPECT_LT(other_model, same);
  EXPECT_LT(far_load, same);
  auto stranger = traits_of("b200", "b", 3);
  EXPECT_EQ(borrowing.shift(stranger), 0);
  EXPECT_EQ(borrowing.borrow(stranger).nearest, "");
}

TEST(Borrowing, KnowsMoreBesideARelative) {
  const BorrowingWidths widths;
  std::vector<Relative> relatives = {relative_of(traits_of("h200", "a", 3), 0.4),
                                     relative_of(traits_of("h200", "b", 5), -0.1)};
  weigh(relatives, widths);
  const Borrowing borrowing{relatives, widths};
  const auto near = borrowing.borrow(traits_of("h200", "a", 3));
  const auto far = borrowing.borrow(traits_of("b200", "c", 3));
  EXPECT_LT(near.spread, 0.6 * near.prior_spread);
  EXPECT_NEAR(far.spread, far.prior_spread, 1e-12);
  EXPECT_EQ(near.nearest, "h200 a");
  EXPECT_EQ(near.shift, borrowing.shift(traits_of("h200", "a", 3)));
}

// Two relatives by the textbook's formula, k^T (K + noise)^-1 y, inverted by hand.
TEST(Borrowing, OfTwoRelativesIsTheClosedForm) {
  const BorrowingWidths widths;
  std::vector<Relative> one = {relative_of(traits_of("h200", "a", 3), 1)};
  const auto covariance = [&](const Traits& from, const Traits& to) {
    // With one relative of weight 1 the shift is the covariance itself.
    Relative probe = relative_of(from, 0);
    probe.weight = 1;
    return Borrowing{{probe}, widths}.shift(to);
  };
  const Traits a = traits_of("h200", "a", 3);
  const Traits b = traits_of("h200", "b", 6);
  const Traits at = traits_of("h200", "a", 5);
  const double noise = widths.noise * widths.noise + widths.noise_of_row * widths.noise_of_row / 10;
  const double aa = covariance(a, a) + noise;
  const double bb = covariance(b, b) + noise;
  const double ab = covariance(a, b);
  const double determinant = aa * bb - ab * ab;
  const double weight_a = (bb * 0.3 - ab * -0.2) / determinant;
  const double weight_b = (aa * -0.2 - ab * 0.3) / determinant;
  const double expected = covariance(a, at) * weight_a + covariance(b, at) * weight_b;
  std::vector<Relative> relatives = {relative_of(a, 0.3), relative_of(b, -0.2)};
  weigh(relatives, widths);
  EXPECT_NEAR((Borrowing{relatives, widths}.shift(at)), expected, 1e-12);
}

}  // namespace
}  // namespace perwatt::inference::serving
