// One site of an attribution, solved: what it is worth and what that rests on.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "perwatt/plan/attribution.hpp"
#include "perwatt/plan/quality_guard.hpp"

namespace perwatt::plan {

/// Standard normal draws by deployment, the same for every coalition: draw `resample` of one key
/// does not depend on what else is asked for.
class DeploymentDraws {
 public:
  explicit DeploymentDraws(std::uint64_t seed) : seed_{seed} {}

  struct Draw {
    double rate = 0;
    double power = 0;
  };

  [[nodiscard]] Draw of(const inference::MeasuredPoint& point, std::size_t resample) const;
  [[nodiscard]] Draw of_training(std::string_view job, std::size_t resample) const;

 private:
  [[nodiscard]] Draw of_key(std::uint64_t key, std::size_t resample) const;

  std::uint64_t seed_;
};

struct Coalition {
  Worth worth;
  std::set<Answerer> answerers;  // who serves what
  UsdPerSecond unmet;            // of the profit, what commitments cost that are not met
  std::vector<Worth> resampled;
};

/// By training job, what a committed trained token costs that is not trained: kUnmetPriceFactor
/// times its value, or twice all that the site of `set` could earn and spend over the tokens
/// committed, whichever is more: a token of no value is committed all the same.
[[nodiscard]] std::vector<UsdPerToken> unmet_training_prices(const Site& site,
                                                             const CandidateSet& set);

/// Solves `site` with whole racks, commitments soft. With `resamples` > 0 the plan found is also
/// valued at that many draws of its deployments' rates and GPU power. Nothing where no plan exists:
/// the loads alone pass the envelope.
[[nodiscard]] std::optional<Coalition> solve_coalition(
    const Site& site, const catalog::Catalog& catalog, const OptionSet& options,
    const DeploymentDraws& draws, std::size_t resamples,
    const std::vector<UsdPerToken>& unmet_prices, SolverUse& use);

}  // namespace perwatt::plan
