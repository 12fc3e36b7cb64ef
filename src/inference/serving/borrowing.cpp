#include "perwatt/inference/serving/borrowing.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "bell.hpp"
#include "symmetric_solve.hpp"

namespace perwatt::inference::serving {

namespace {

// Relatives whose noise-free covariance decides a spread; more change it by under 1 %.
constexpr std::size_t kNearest = 60;

std::vector<std::string> names_of(const std::vector<Relative>& relatives) {
  std::vector<std::string> names;
  for (const auto& relative : relatives) {
    for (const auto* name :
         {&relative.traits.accelerator, &relative.traits.engine, &relative.traits.architecture,
          &relative.traits.precision, &relative.traits.spec_decode, &relative.traits.source}) {
      names.push_back(*name);
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Place place_of(const Traits& traits, const std::vector<std::string>& names) {
  const auto number = [&](const std::string& name) {
    const auto at = std::lower_bound(names.begin(), names.end(), name);
    return at != names.end() && *at == name ? static_cast<int>(at - names.begin()) : -1;
  };
  return {number(traits.accelerator),  number(traits.engine),
          number(traits.architecture), number(traits.precision),
          number(traits.spec_decode),  number(traits.source),
          traits.is_disaggregated,     traits.is_task,
          traits.log2_concurrency,     traits.log2_input_tokens,
          traits.log2_output_tokens,   traits.log2_instance_gpus,
          traits.age_quarters};
}

/// Of two places without noise. A sum of terms, each for one kind of likeness: equal where it
/// holds, fading with the distance in load; near kinds fade with lengths and size too, and what
/// accelerator and engine share with time.
double covariance(const Place& a, const Place& b, const BorrowingWidths& widths) {
  const bool same_accelerator = a.accelerator == b.accelerator && a.accelerator >= 0;
  const bool same_engine = a.engine == b.engine && a.engine >= 0;
  const bool same_model = a.architecture == b.architecture && a.architecture >= 0;
  const bool same_precision = a.precision == b.precision;
  const bool same_mode = a.is_disaggregated == b.is_disaggregated;
  const bool same_spec = a.spec_decode == b.spec_decode;
  const bool same_source = a.source == b.source && a.source >= 0;
  const bool same_platform = same_accelerator && same_engine;
  if (!same_platform && !same_model) {
    return 0;
  }
  const bool same_format = same_platform && same_precision && same_mode;
  // Kinds whose likeness also wears off with lengths, instance size and time; then with time only;
  // then with neither.
  int near = 0;
  int platform = 0;
  int general = 0;
  if (same_platform) {
    platform += 1 + (same_mode ? 1 : 0) + (a.is_task == b.is_task ? 1 : 0) + (same_source ? 1 : 0);
    near += same_format ? 1 : 0;
    near += same_format && same_model ? 1 + (same_spec ? 1 : 0) + (same_source ? 1 : 0) : 0;
  }
  if (same_model) {
    general += 1 + (same_accelerator ? 1 : 0) + (same_engine ? 1 : 0) + (same_precision ? 1 : 0) +
               (same_source ? 1 : 0);
  }
  double sum = general;
  if (platform > 0) {
    const double fresh = std::exp(-std::abs(a.age_quarters - b.age_quarters) / widths.age_quarters);
    double local = 0;
    if (near > 0) {
      const double lengths =
          bell((square(a.log2_input_tokens - b.log2_input_tokens) +
                square(a.log2_output_tokens - b.log2_output_tokens)) /
               square(widths.lengths_octaves)) *
          bell(square((a.log2_instance_gpus - b.log2_instance_gpus) / widths.gpus_octaves));
      local = near * (1 - widths.lengths_share + widths.lengths_share * lengths);
    }
    sum += fresh * (platform + local);
  }
  const double load =
      bell(square((a.log2_concurrency - b.log2_concurrency) / widths.concurrency_octaves));
  return square(widths.term) * sum *
         (1 - widths.concurrency_share + widths.concurrency_share * load);
}

double noise(const Relative& relative, const BorrowingWidths& widths) {
  return square(widths.noise) + square(widths.noise_of_row) / std::max(1, relative.rows);
}

}  // namespace

void weigh(std::vector<Relative>& relatives, const BorrowingWidths& widths) {
  const auto names = names_of(relatives);
  std::vector<Place> places;
  places.reserve(relatives.size());
  for (const auto& relative : relatives) {
    places.push_back(place_of(relative.traits, names));
  }
  SymmetricMatrix matrix{relatives.size()};
  std::vector<double> weights;
  weights.reserve(relatives.size());
  for (std::size_t i = 0; i < relatives.size(); ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      matrix.lower(i, j) = covariance(places[i], places[j], widths);
    }
    matrix.lower(i, i) += noise(relatives[i], widths);
    weights.push_back(
        std::clamp(relatives[i].residual, -widths.largest_residual, widths.largest_residual));
  }
  factorise(matrix);
  solve_factorised(matrix, weights);
  for (std::size_t i = 0; i < relatives.size(); ++i) {
    relatives[i].weight = weights[i];
  }
}

Borrowing::Borrowing(std::vector<Relative> relatives, const BorrowingWidths& widths)
    : relatives_{std::move(relatives)}, widths_{widths}, names_{names_of(relatives_)} {
  places_.reserve(relatives_.size());
  for (const auto& relative : relatives_) {
    places_.push_back(place_of(relative.traits, names_));
  }
}

double Borrowing::shift(const Traits& traits) const {
  const Place place = place_of(traits, names_);
  double sum = 0;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    sum += relatives_[i].weight * covariance(place, places_[i], widths_);
  }
  return sum;
}

Borrowed Borrowing::borrow(const Traits& traits) const {
  const Place place = place_of(traits, names_);
  Borrowed result;
  std::vector<double> likeness;
  likeness.reserve(places_.size());
  for (const auto& other : places_) {
    likeness.push_back(covariance(place, other, widths_));
  }
  std::vector<std::size_t> order(places_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const std::size_t count = std::min(kNearest, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](std::size_t a, std::size_t b) {
                      return likeness[a] != likeness[b] ? likeness[a] > likeness[b] : a < b;
                    });
  for (std::size_t i = 0; i < places_.size(); ++i) {
    result.shift += relatives_[i].weight * likeness[i];
  }
  // A place that is known to no relative still has the variance of every kind of likeness.
  Place own = place;
  own.accelerator = own.engine = own.architecture = own.source = 0;
  const double prior = covariance(own, own, widths_);
  result.prior_spread = std::sqrt(prior);
  SymmetricMatrix matrix{count};
  std::vector<double> explained;
  explained.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      matrix.lower(i, j) = covariance(places_[order[i]], places_[order[j]], widths_);
    }
    matrix.lower(i, i) += noise(relatives_[order[i]], widths_);
    explained.push_back(likeness[order[i]]);
  }
  factorise(matrix);
  solve_lower(matrix, explained);
  const double known =
      std::inner_product(explained.begin(), explained.end(), explained.begin(), 0.0);
  result.spread = std::sqrt(std::max(0.0, prior - known));
  if (count > 0 && likeness[order[0]] > 0) {
    result.nearest = relatives_[order[0]].label;
  }
  return result;
}

}  // namespace perwatt::inference::serving
