#include "perwatt/inference/serving/coefficients.hpp"

#include <cmath>

namespace perwatt::inference::serving {

namespace {

template <class V, std::size_t Count>
V starts(const std::array<CoefficientInfo, Count>& table) {
  V values;
  for (std::size_t i = 0; i < Count; ++i) {
    values.all()[i] = table[i].start;
  }
  return values;
}

/// The geometric mean of `part` over accelerators of `vendor` ("": of all) that have it.
template <class V>
std::optional<V> mean_of(const Coefficients& coefficients,
                         std::optional<V> AcceleratorCoefficients::*part, std::string_view vendor) {
  V mean;
  int count = 0;
  for (const auto& [id, of_one] : coefficients.accelerators) {
    if ((vendor.empty() || of_one.vendor == vendor) && of_one.*part) {
      ++count;
      for (std::size_t i = 0; i < mean.all().size(); ++i) {
        mean.all()[i] += std::log((of_one.*part)->all()[i]);
      }
    }
  }
  if (count == 0) {
    return std::nullopt;
  }
  for (double& value : mean.all()) {
    value = std::exp(value / count);
  }
  return mean;
}

template <class V>
V own_or_mean(const Coefficients& coefficients, std::optional<V> AcceleratorCoefficients::*part,
              std::string_view accelerator, std::string_view vendor, const V& start) {
  const auto own = coefficients.accelerators.find(accelerator);
  if (own != coefficients.accelerators.end() && own->second.*part) {
    return *(own->second.*part);
  }
  if (const auto of_vendor = mean_of(coefficients, part, vendor)) {
    return *of_vendor;
  }
  return mean_of(coefficients, part, "").value_or(start);
}

}  // namespace

CoefficientsOfOne Coefficients::of(std::string_view accelerator, std::string_view vendor) const {
  return {own_or_mean(*this, &AcceleratorCoefficients::times, accelerator, vendor,
                      starts<AcceleratorValues>(kAcceleratorTerms)),
          own_or_mean(*this, &AcceleratorCoefficients::power, accelerator, "",
                      starts<AcceleratorPowerValues>(kAcceleratorPowerTerms)),
          speed, first_token, power};
}

std::size_t Coefficients::count() const {
  std::size_t sum = kSpeedTerms.size() + kFirstTokenTerms.size() + kPowerTerms.size();
  for (const auto& [id, of_one] : accelerators) {
    sum += (of_one.times ? kAcceleratorTerms.size() : 0) +
           (of_one.power ? kAcceleratorPowerTerms.size() : 0);
  }
  return sum;
}

Coefficients starting_coefficients() {
  Coefficients coefficients;
  coefficients.speed = starts<SpeedValues>(kSpeedTerms);
  coefficients.first_token = starts<FirstTokenValues>(kFirstTokenTerms);
  coefficients.power = starts<PowerValues>(kPowerTerms);
  return coefficients;
}

}  // namespace perwatt::inference::serving
