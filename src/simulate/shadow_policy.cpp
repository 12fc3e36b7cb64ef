// perwatt's policy where it may only observe or advise: the site runs under the caps that it has
// without perwatt (static ones), and the controller looks on. What it decides cannot reach a
// device.
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "policy.hpp"

#include "perwatt/device/read_only_platform.hpp"

namespace perwatt::simulate {

namespace {

PolicyPlan fixed_plan(PolicyPlan plan) {
  plan.kind = PolicyKind::fixed;
  return plan;
}

class ShadowPolicy final : public Policy {
 public:
  explicit ShadowPolicy(const PolicySite& site)
      : standing_plan_{fixed_plan(site.plan)},
        looked_at_{site.platform},
        standing_{make_policy({site.scenario, standing_plan_, site.seed, site.platform, site.values,
                               site.true_demands})},
        shadow_{make_managed_policy(
            {site.scenario, site.plan, site.seed, looked_at_, site.values, site.true_demands})} {}

  void start(Instant now) override {
    standing_->start(now);
    shadow_->start(now);
  }

  void step(Instant now) override {
    standing_->step(now);
    shadow_->step(now);
  }

  void set_limits(std::span<const Watts> limits) override {
    standing_->set_limits(limits);
    shadow_->set_limits(limits);
  }

  std::vector<std::string> take_messages() override { return shadow_->take_messages(); }

  [[nodiscard]] std::span<const Watts> advised_caps() const override {
    return shadow_->advised_caps();
  }

  void set_message_loss(double ratio) override { shadow_->set_message_loss(ratio); }

  void kill_controller(Instant now) override { shadow_->kill_controller(now); }

  void restart_controller(Instant now) override { shadow_->restart_controller(now); }

 private:
  PolicyPlan standing_plan_;
  device::ReadOnlyPlatform looked_at_;
  std::unique_ptr<Policy> standing_;
  std::unique_ptr<Policy> shadow_;
};

}  // namespace

std::unique_ptr<Policy> make_shadow_policy(const PolicySite& site) {
  return std::make_unique<ShadowPolicy>(site);
}

}  // namespace perwatt::simulate
