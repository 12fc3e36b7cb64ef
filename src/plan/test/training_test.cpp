// Training jobs in a site's plan, on a profile small enough to count by hand.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>

#include "two_sites.hpp"
#include <gtest/gtest.h>

#include "perwatt/base/file.hpp"
#include "perwatt/plan/sensitivity.hpp"
#include "perwatt/training/frontier.hpp"

namespace perwatt::plan {
namespace {

/// One stage, one microbatch. Iterations: 3 s and 1,000 J at full clocks, 3.5 s and 650 J with a
/// slow backward, 3.75 s and 500 J with both slow.
std::string profile() {
  const auto file = std::filesystem::path{testing::TempDir()} / "perwatt-training-test.csv";
  write_file(
      file,
      "stage,instruction,frequency,time,energy\n0,forward,1410,1,300\n0,forward,1000,1.25,150\n"
      "0,backward,1410,2,700\n0,backward,1000,2.5,350\n");
  return file.string();
}

/// The site gives neither transfers nor a tail: docs/model/plan.md#training.
constexpr double kRate = 0.965;

struct Text {
  std::string envelope = "10MW";
  std::string energy = "0.10";
  std::string job = "max_pipelines = 1000";
  std::string tables = "";
  std::string rack = "owned = 3";
  std::string service = "";

  /// One pipeline is one node of 8 GPUs and trains 2,400 tokens an iteration.
  [[nodiscard]] std::string all() const {
    return "[site]\nenvelope = \"" + envelope + "\"\n[prices]\ntable = \"2026-08\"\n" +
           (energy.empty() ? std::string{} : "energy_usd_per_kwh = " + energy + "\n") +
           "[[training]]\nid = \"run\"\naccelerator = \"a100\"\nprofile = \"" + profile() +
           "\"\nstages = 1\nmicrobatches = 1\nblocking_power = \"50W\"\ntail = \"0s\"\n"
           "gpus_per_stage = 8\ntokens_per_iteration = 2400\n"
           "value_usd_per_million_trained_tokens = 10\n" +
           job + "\n" + service + "[[rack]]\nsystem = \"hgx-a100-air\"\n" + rack + "\n" + tables;
  }
};

std::unique_ptr<TwoSites> site(const Text& text) {
  return self(text.all(), {});
}

struct Answer {
  CandidateSet set;
  Plan plan;

  [[nodiscard]] double trained() const { return in_tokens_per_second(plan.trained.at(0)); }

  /// Mean time of an iteration over the GPUs that train.
  [[nodiscard]] double time() const {
    double sum = 0;
    double gpus = 0;
    for (const auto& assignment : plan.training) {
      sum += in_seconds(set.training[assignment.column].point.time) * assignment.gpus;
      gpus += assignment.gpus;
    }
    return gpus > 0 ? sum / gpus : 0;
  }
};

Answer solve(const TwoSites& sites) {
  Answer answer{build_candidates(sites.plan, shipped_catalog(), sites.options), {}};
  answer.plan = solve_plan(sites.plan, answer.set);
  return answer;
}

TEST(Training, ColumnsAreCountedByHand) {
  const auto sites = site({});
  const auto answer = solve(*sites);
  const auto& columns = answer.set.training;
  ASSERT_EQ(columns.size(), 3U);
  const facility::PowerChain chain{shipped_catalog(), shipped_catalog().system("hgx-a100-air", "")};
  const double times[] = {3, 3.5, 3.75};
  const double energies[] = {1000, 650, 500};
  const double highest[] = {350, 300, 140};
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const auto& column = columns[i];
    EXPECT_NEAR(in_seconds(column.point.time), times[i], 1e-9);
    EXPECT_NEAR(column.point.energy.in_base(), energies[i], 1e-6);
    EXPECT_NEAR(column.point.gap_ratio(), 0, 1e-9);
    EXPECT_NEAR(in_watts(column.gpu_power.mean), energies[i] / times[i], 1e-6);
    EXPECT_NEAR(in_watts(column.point.highest_power), highest[i], 1e-6);
    EXPECT_EQ(column.gpu_power.tag, Tag::derived);
    EXPECT_NEAR(column.mean_trained_per_gpu.in_base(), kRate * 2400 / times[i] / 8, 1e-9);
    const double meter = 1.3 * in_watts(chain.it_per_gpu(watts(energies[i] / times[i])).value);
    EXPECT_NEAR(in_watts(column.meter_per_gpu.value), meter, 1e-6);
    EXPECT_NEAR(in_usd_per_hour(column.margin_per_gpu),
                kRate * 2400 / times[i] / 8 * 3600 * 10 / 1e6 - meter / 1e3 * 0.10, 1e-9);
  }
  EXPECT_EQ(columns[0].point.needs, FrequencyPlans::none);
  EXPECT_EQ(columns[1].point.needs, FrequencyPlans::any);
}

TEST(Training, TotalsAreThoseOfTheColumns) {
  auto text = Text{};
  text.tables = "[[load]]\nname = \"storage\"\npower = \"20kW\"\n";
  const auto sites = site(text);
  const auto answer = solve(*sites);
  const auto& plan = answer.plan;
  ASSERT_EQ(plan.status, PlanStatus::optimal);
  const double gpus = plan.racks[0].training_gpus;
  EXPECT_NEAR(gpus, 3.0 * answer.set.racks[0].gpus_per_rack, 1e-6);
  EXPECT_NEAR(answer.time(), 3, 1e-9);  // energy is cheap
  EXPECT_NEAR(answer.trained(), kRate * gpus * 100, 1e-6);
  EXPECT_EQ(plan.totals.output, TokensPerSecond{});
  EXPECT_NEAR(plan.training[0].pipelines, gpus / 8, 1e-9);
  const auto& column = answer.set.training[plan.training[0].column];
  EXPECT_NEAR(in_watts(plan.totals.training_meter), in_watts(column.meter_per_gpu.value) * gpus,
              1e-3);
  EXPECT_NEAR(in_watts(plan.totals.meter_beside_training()), 20e3 * 1.3, 1e-3);
  EXPECT_NEAR(in_watts(plan.flow.training_gpu[0]), 1000.0 / 3 * gpus, 1e-3);
  EXPECT_NEAR(in_usd_per_hour(plan.totals.revenue), kRate * gpus * 100 * 3600 * 10 / 1e6, 1e-6);
  EXPECT_EQ(plan.totals.revenue, plan.totals.training_value);
}

/// The energy price at which two columns earn the same.
double even_price(const TrainingColumn& a, const TrainingColumn& b) {
  return in_usd_per_kwh((a.value_per_gpu - b.value_per_gpu) /
                        (a.meter_per_gpu.value - b.meter_per_gpu.value));
}

TEST(Training, EnergyPriceMovesThePlanAlongTheFrontier) {
  const auto columns = solve(*site({})).set.training;
  const double first = even_price(columns[0], columns[1]);
  const double second = even_price(columns[1], columns[2]);
  const double last = in_usd_per_kwh(columns[2].value_per_gpu / columns[2].meter_per_gpu.value);
  ASSERT_LT(first, second);
  ASSERT_LT(second, last);
  const auto time_at = [](double price) {
    auto text = Text{};
    text.energy = std::to_string(price);
    return solve(*site(text)).time();
  };
  EXPECT_NEAR(time_at(0), 3, 1e-9);
  EXPECT_NEAR(time_at(first * 0.99), 3, 1e-9);
  EXPECT_NEAR(time_at((first + second) / 2), 3.5, 1e-9);
  EXPECT_NEAR(time_at((second + last) / 2), 3.75, 1e-9);
  EXPECT_EQ(time_at(last * 1.01), 0);  // not worth its energy
}

TEST(Training, FullClocksAloneWhereNoPlanIsAllowed) {
  auto text = Text{};
  text.tables = "[deployments]\nfrequency_plans = \"none\"\n";
  const auto none = solve(*site(text));
  ASSERT_EQ(none.set.training.size(), 1U);
  EXPECT_EQ(none.set.training[0].point.needs, FrequencyPlans::none);
  text.tables = "[deployments]\nfrequency_plans = \"same_time\"\n";
  for (const auto& column : solve(*site(text)).set.training) {
    EXPECT_NEAR(in_seconds(column.point.time), 3, 1e-9);
  }
}

/// At the meter, with all pipelines that run at any time in their most drawing plan at once.
double peak(const Answer& answer) {
  const auto& rack = answer.set.racks[0];
  double gpus = 0;
  double highest = 0;
  for (const auto& assignment : answer.plan.training) {
    gpus += assignment.gpus_by_hour[0];
    highest = std::max(highest,
                       in_watts(answer.set.training[assignment.column].highest_it_per_gpu.value));
  }
  const double running = 8 * std::ceil(gpus / 8 - 1e-6);
  const double idle = answer.plan.racks[0].powered * rack.gpus_per_rack - running;
  return 1.3 * (running * highest + idle * in_watts(rack.idle_it_per_gpu.value));
}

TEST(Training, NoTurnOfPlansPassesAManagedEnvelope) {
  auto text = Text{};
  text.rack = "owned = 4";
  text.tables = "[provisioning]\npolicy = \"managed\"\nexcursion_probability = 0.05\n";
  for (const auto* envelope : {"20kW", "30kW", "40kW", "50kW", "60kW", "80kW", "100kW"}) {
    text.envelope = envelope;
    const auto answer = solve(*site(text));
    ASSERT_EQ(answer.plan.status, PlanStatus::optimal) << envelope;
    EXPECT_GT(answer.trained(), 0) << envelope;
    EXPECT_LE(peak(answer), std::stod(envelope) * 1e3 * (1 + 1e-9)) << envelope;
    EXPECT_GE(in_watts(answer.plan.totals.provisioned), peak(answer) - 1e-3) << envelope;
    EXPECT_LE(answer.plan.proven_gap_ratio, 0.1) << envelope;
  }
}

TEST(Training, APipelineRunsOnlyWhereItFitsAsAWhole) {
  auto text = Text{};
  text.rack = "owned = 4";
  auto all = text.all();
  all.replace(all.find("gpus_per_stage = 8"), 18, "gpus_per_stage = 64");
  const auto tight = [&](const std::string& envelope) {
    auto limited = all;
    limited.replace(limited.find("10MW"), 4, envelope);
    return solve(*self(limited, {}));
  };
  EXPECT_EQ(tight("30kW").trained(), 0);  // one rack of 32 GPUs has power
  EXPECT_GT(tight("200kW").trained(), 0);
  const auto shared = solve(*self(
      all + "[[placement]]\nsystem = \"hgx-a100-air\"\ntraining = \"run\"\ngpu_share_ratio = 0.1\n",
      {}));
  EXPECT_TRUE(shared.set.training_fit[0][0].is_too_large_for_share);
  EXPECT_EQ(shared.plan.untrained.at(0)->limit, "placement[hgx-a100-air].gpu_share_ratio");
}

TEST(Training, WaitingAboveTheCapIsRefusedAndElseReserved) {
  auto text = Text{};
  auto all = text.all();
  all.replace(all.find("\"50W\""), 5, "\"600W\"");
  const auto refused = solve(*self(all, {}));
  EXPECT_TRUE(refused.set.training_fit[0][0].is_waiting_above_cap);
  EXPECT_EQ(refused.plan.remedies.at(0).limit, "training[run].blocking_power");
  all.replace(all.find("\"600W\""), 6, "\"390W\"");
  for (const auto& column : solve(*self(all, {})).set.training) {
    EXPECT_EQ(column.point.highest_power, watts(390));
  }
}

TEST(Training, AHundredthBesideOperationsCountsAsFitted) {
  const auto rate = [](const std::string& tail) {
    auto all = Text{}.all();
    all.replace(all.find("tail = \"0s\""), 11, "tail = \"" + tail + "\"");
    return rate_interval(site_of(all).training[0]);
  };
  for (const auto* tail : {"0s", "1us", "30ms"}) {  // 3 s of operations
    EXPECT_EQ(rate(tail).central_factor, kRate) << tail;
    EXPECT_LT(rate(tail).low_factor * kRate, 0.9301) << tail;
    EXPECT_LT(rate(tail).high_factor * kRate, 1) << tail;
  }
  EXPECT_EQ(rate("31ms").central_factor, 1);
  EXPECT_EQ(rate("31ms").low_factor, 0.98);
}

TEST(Training, ManagedProvisioningReservesTheHighestOperation) {
  auto text = Text{};
  text.rack = "owned = 100";
  text.energy = "0";
  text.tables = "[provisioning]\npolicy = \"managed\"\nexcursion_probability = 0.05\n";
  text.envelope = "300kW";
  const auto tight = solve(*site(text));
  ASSERT_EQ(tight.plan.status, PlanStatus::optimal);
  EXPECT_NEAR(tight.time(), 3.75, 1e-9);  // the most tokens per reserved watt
  EXPECT_NEAR(in_watts(tight.plan.totals.provisioned), peak(tight), 1e-3);
  EXPECT_LE(in_watts(tight.plan.totals.provisioned), 300e3 * (1 + 1e-9));
  EXPECT_FALSE(tight.plan.excursion);
  text.envelope = "10MW";
  EXPECT_NEAR(solve(*site(text)).time(), 3, 1e-9);
}

TEST(Training, MoreEnvelopeNeverEarnsLess) {
  for (const auto* policy : {"policy = \"nameplate\"", "policy = \"static\"\ngpu_cap_ratio = 0.8",
                             "policy = \"managed\"\nexcursion_probability = 0.05"}) {
    UsdPerSecond before;
    for (const auto* envelope : {"50kW", "90kW", "140kW", "200kW", "400kW"}) {
      auto text = Text{};
      text.envelope = envelope;
      text.rack = "owned = 10";
      text.tables = std::string{"[provisioning]\n"} + policy + "\n";
      const auto answer = solve(*site(text));
      ASSERT_EQ(answer.plan.status, PlanStatus::optimal) << policy << envelope;
      EXPECT_GE(in_usd_per_hour(answer.plan.relaxed_profit), in_usd_per_hour(before) - 1e-6);
      before = answer.plan.relaxed_profit;
    }
    EXPECT_GT(before, UsdPerSecond{});
  }
}

TEST(Training, ACapTakesSettingsAndNotWholePlans) {
  auto text = Text{};
  text.tables = "[provisioning]\npolicy = \"static\"\ngpu_cap_ratio = 0.8\n";  // 320 W
  const auto answer = solve(*site(text));
  ASSERT_EQ(answer.set.training.size(), 2U);  // the backward at 350 W is gone
  EXPECT_EQ(answer.set.training_fit[0][0].settings_above_cap, 1U);
  EXPECT_EQ(answer.set.training[0].point.needs, FrequencyPlans::none);
  EXPECT_NEAR(in_seconds(answer.set.training[0].point.time), 3.5, 1e-9);
  text.tables = "[provisioning]\npolicy = \"static\"\ngpu_cap_ratio = 0.34\n";  // 136 W
  text.job += "\ncommitted_trained_tokens_per_s = 100";
  const auto none = solve(*site(text));
  EXPECT_TRUE(none.set.training.empty());
  EXPECT_TRUE(none.set.training_fit[0][0].is_above_cap);
  EXPECT_EQ(none.plan.status, PlanStatus::infeasible);
  ASSERT_EQ(none.plan.remedies.size(), 1U);
  EXPECT_EQ(none.plan.remedies[0].limit, "training[run].profile");
  EXPECT_NE(none.plan.infeasible_because.find("136 W"), std::string::npos);
}

TEST(Training, PipelinesWantedLimitWhatRuns) {
  auto text = Text{};
  text.job = "max_pipelines = 5";
  const auto answer = solve(*site(text));
  EXPECT_NEAR(answer.trained(), kRate * 5 * 800, 1e-6);
  EXPECT_NEAR(answer.plan.racks[0].training_gpus, 40, 1e-6);
}

TEST(Training, WholePipelinesMustFitTheRacks) {
  auto text = Text{};
  text.job = "max_pipelines = 5";
  auto all = text.all();
  all.replace(all.find("gpus_per_stage = 8"), 18, "gpus_per_stage = 4096");
  const auto answer = solve(*self(all, {}));
  EXPECT_TRUE(answer.set.training_fit[0][0].is_too_large);
  ASSERT_TRUE(answer.plan.untrained[0]);
  EXPECT_EQ(answer.plan.untrained[0]->limit, "rack[hgx-a100-air].owned");
}

TEST(Training, AnotherAcceleratorTrainsNothing) {
  auto all = Text{}.all();
  all.replace(all.find("accelerator = \"a100\""), 20, "accelerator = \"h100\"");
  const auto answer = solve(*self(all, {}));
  EXPECT_EQ(answer.plan.status, PlanStatus::infeasible);
  EXPECT_EQ(answer.plan.remedies.at(0).limit, "training[run].accelerator");
}

TEST(Training, ACommitmentIsOverTheYearAndFallsIntoCheapHours) {
  auto text = Text{};
  text.energy = "";
  // 12 cheap hours, 12 that cost more than training earns.
  text.tables =
      "[year]\nenergy_usd_per_kwh_by_hour = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "
      "90, 90, 90, 90, 90, 90, 90, 90, 90, 90, 90, 90]\n";
  text.rack = "owned = 1";
  const auto free = solve(*site(text));
  ASSERT_EQ(free.set.racks[0].gpus_per_rack % 8, 0);
  const double most = kRate * free.set.racks[0].gpus_per_rack * 100.0;
  text.job += "\ncommitted_trained_tokens_per_s = " + std::to_string(most * 0.49);
  const auto answer = solve(*site(text));
  ASSERT_EQ(answer.plan.status, PlanStatus::optimal);
  EXPECT_GE(answer.trained(), most * 0.49 * (1 - 1e-9));
  EXPECT_NEAR(in_tokens_per_second(answer.plan.hours[0].trained[0]), most * 0.98, most * 0.021);
  EXPECT_EQ(answer.plan.hours[1].trained[0], TokensPerSecond{});
}

TEST(Training, ACommitmentThatIsTooLargeNamesWhatIsPossible) {
  auto text = Text{};
  text.job = "max_pipelines = 2\ncommitted_trained_tokens_per_s = 5000";
  const auto answer = solve(*site(text));
  ASSERT_EQ(answer.plan.status, PlanStatus::infeasible);
  ASSERT_FALSE(answer.plan.remedies.empty());
  EXPECT_EQ(answer.plan.remedies[0].limit, "training[run].committed_trained_tokens_per_s");
  // 2 x 800 x 0.965, rounded down to what is surely enough.
  EXPECT_EQ(answer.plan.remedies[0].needed, "at most 1544 tok/s");
  const auto more = std::find_if(
      answer.plan.remedies.begin(), answer.plan.remedies.end(),
      [](const Remedy& remedy) { return remedy.limit == "training[run].max_pipelines"; });
  ASSERT_NE(more, answer.plan.remedies.end());
  EXPECT_EQ(more->needed, "at least 7 pipelines");
  text.job = "max_pipelines = 2\ncommitted_trained_tokens_per_s = 1544";
  EXPECT_EQ(solve(*site(text)).plan.status, PlanStatus::optimal);
}

TEST(Training, PlacementKeepsGpusForTraining) {
  auto text = Text{};
  text.tables =
      "[[placement]]\nsystem = \"hgx-a100-air\"\ntraining = \"run\"\ngpu_share_ratio = 0.25\n";
  const auto answer = solve(*site(text));
  const double gpus = answer.plan.racks[0].powered * answer.set.racks[0].gpus_per_rack;
  EXPECT_NEAR(answer.plan.racks[0].training_gpus, gpus / 4, 1e-6);
}

/// A baseline at full clocks, at a price at which the slowest plan pays best.
Text dear_with_baseline() {
  const auto columns = solve(*site({})).set.training;
  auto text = Text{};
  text.energy = std::to_string(even_price(columns[1], columns[2]) * 1.01);
  text.tables = "[baseline]\nsite = \"self\"\n[baseline.deployments]\nfrequency_plans = \"none\"\n";
  return text;
}

TEST(Training, FrequencyPlansAreALever) {
  const auto sites = site(dear_with_baseline());
  const auto attribution = sites->attribution();
  ASSERT_EQ(attribution.unavailable_because, "");
  UsdPerSecond sum;
  for (const auto& part : attribution.parts) {
    sum += part.part.profit;
    EXPECT_EQ(part.differs, part.lever == Lever::training_frequency_plan);
  }
  const auto gain = sites->profit_of(sites->plan) - sites->profit_of(sites->baseline);
  EXPECT_GT(in_usd_per_hour(gain), 0.01);
  EXPECT_NEAR(in_usd_per_hour(sum), in_usd_per_hour(gain), 1e-9);
  const auto& part = part_of(attribution, Lever::training_frequency_plan);
  EXPECT_LE(part.low.profit, part.part.profit);
  EXPECT_GE(part.high.profit, part.part.profit);
  EXPECT_EQ(part.outlay, Usd{});
}

TEST(Training, ACommitmentWithoutValueIsKeptByTheLevers) {
  auto text = dear_with_baseline();
  text.energy = "0.10";
  text.job += "\ncommitted_trained_tokens_per_s = 7000";
  auto all = text.all();
  all.replace(all.find("trained_tokens = 10"), 19, "trained_tokens = 0");
  const auto sites = self(all, {});
  const auto attribution = sites->attribution();
  ASSERT_EQ(attribution.unavailable_because, "");
  EXPECT_NEAR(in_usd_per_hour(attribution.plan.profit),
              in_usd_per_hour(sites->profit_of(sites->plan)), 1e-9);
  EXPECT_NEAR(in_usd_per_hour(attribution.baseline.profit),
              in_usd_per_hour(sites->profit_of(sites->baseline)), 1e-9);
  EXPECT_GT(part_of(attribution, Lever::training_frequency_plan).part.profit, UsdPerSecond{});
}

TEST(Training, SharesItsGainWithOtherLevers) {
  auto text = dear_with_baseline();
  text.tables.replace(text.tables.find("[baseline.deployments]"), 0, "availability_ratio = 0.8\n");
  const auto sites = site(text);
  const auto attribution = sites->attribution();
  UsdPerSecond sum;
  for (const auto& part : attribution.parts) {
    sum += part.part.profit;
  }
  EXPECT_NEAR(in_usd_per_hour(sum),
              in_usd_per_hour(sites->profit_of(sites->plan) - sites->profit_of(sites->baseline)),
              1e-9);
  EXPECT_GT(part_of(attribution, Lever::training_frequency_plan).part.profit, UsdPerSecond{});
  EXPECT_GT(part_of(attribution, Lever::availability).part.profit, UsdPerSecond{});
}

TEST(Training, OtherJobsCannotBeCompared) {
  auto text = Text{};
  const auto plan = site_of(text.all());
  EXPECT_FALSE(incomparable_because(plan, site_of(text.all())));  // read again from the file
  text.job = "max_pipelines = 999";
  const auto reason = incomparable_because(site_of(text.all()), plan);
  ASSERT_TRUE(reason);
  EXPECT_NE(reason->find("training"), std::string::npos);
  auto other = Text{}.all();
  other.replace(other.find("microbatches = 1"), 16, "microbatches = 2");
  EXPECT_TRUE(incomparable_because(site_of(other), plan));
}

TEST(Training, ABaselineThatBreaksItsCommitmentPays) {
  auto text = Text{};
  text.job += "\ncommitted_trained_tokens_per_s = 900";
  text.rack = "max_buy = 1\ncapital_usd_per_gpu_hour = 1";
  text.tables = "[baseline]\nsite = \"self\"\n";
  auto all = text.all() + "[[rack]]\nsystem = \"hgx-h100-air\"\nowned = 1\n";
  const auto sites = self(all, {});
  const auto attribution = sites->attribution();
  ASSERT_EQ(attribution.unavailable_because, "");
  EXPECT_NEAR(in_usd_per_hour(attribution.baseline.profit), -900 * 3600 * 10 / 1e6 * 10, 1e-6);
}

TEST(Training, ServesAndTrainsOnTheSameRacks) {
  auto text = Text{};
  text.job = "max_pipelines = 4";
  text.service =
      "[[service]]\nid = \"chat\"\nmodel = \"deepseek-r1\"\nisl_tokens = 1024\nosl_tokens = 1024\n"
      "min_interactivity = \"20tok/s\"\nprice_usd_per_million_output_tokens = 2\n"
      "price_usd_per_million_input_tokens = 0\ndemand_output_tokens_per_s = 1000\n";
  auto measured = row(50, 30, 300);
  measured.accelerator = "a100";
  const auto sites = self(text.all(), {measured});
  const auto answer = solve(*sites);
  ASSERT_EQ(answer.plan.status, PlanStatus::optimal);
  EXPECT_NEAR(answer.trained(), kRate * 3200, 1e-6);
  const auto& totals = answer.plan.totals;
  EXPECT_NEAR(in_tokens_per_second(totals.output), 1000, 1e-6);
  EXPECT_NEAR(answer.plan.racks[0].serving_gpus, 20, 1e-6);
  EXPECT_NEAR(answer.plan.racks[0].training_gpus, 32, 1e-6);
  EXPECT_NEAR(in_watts(totals.training_gpu), 32 * 1000.0 / 3, 1e-3);
  EXPECT_NEAR(in_joules_per_token(totals.joules_per_output_token()),
              in_watts(totals.meter - totals.training_meter) / 1000, 1e-9);
  const auto& flow = answer.plan.flow;
  const Watts parts = flow.distribution + flow.cooling + flow.other_loads + flow.network +
                      flow.conversion + flow.fans + flow.host + flow.idle_gpu +
                      flow.service_gpu[0] + flow.training_gpu[0];
  EXPECT_NEAR(in_watts(parts), in_watts(totals.meter), 1e-6 * in_watts(totals.meter));
}

TEST(Training, ThinnedPointsStandForTheWholeFrontier) {
  auto all = Text{}.all();
  const auto from = all.find("profile = ");
  all.replace(from, all.find("\nblocking_power") - from,
              "profile = \"" PERWATT_TEST_DATA_DIR
              "/../tests/data/training/gpt3-175b+a100_sxm_bf16.csv\"\nstages = 8\n"
              "microbatches = 12");
  all.replace(all.find("50W"), 3, "83.64W");
  const auto sites = self(all, {});
  const auto answer = solve(*sites);
  const auto& columns = answer.set.training;
  ASSERT_GT(columns.size(), 5U);
  EXPECT_LT(columns.size(), 40U);
  EXPECT_GT(answer.set.training_fit[0][0].settings_above_cap, 0U);  // measured on 500 W boards
  std::vector<curve::CurvePoint<TokensPerSecond>> points;
  for (const auto& column : columns) {
    EXPECT_LE(column.point.highest_power, watts(400));
    EXPECT_LE(column.point.gap_ratio(), column.point.needs == FrequencyPlans::none ? 1 : 0.005);
    points.push_back({column.point.mean_power, column.mean_trained_per_gpu});
  }
  // Every breakpoint left out is within a fifth of a percent of a mixture: thinning and rounding.
  const auto curve = curve::PowerCurve<TokensPerSecond>::hull_of(points);
  const auto capped = training::under_cap(sites->plan.training[0].curve->pipeline(), watts(400));
  const auto frontier = training::TimeEnergyFrontier::of(*capped);
  for (const auto& point : frontier.points()) {
    const Watts power = frontier.energy(point.time) / point.time / 8;
    const auto rate = tokens(2400) / point.time / 64 * kRate;
    const auto mixed = curve.value_at(std::min(power * 1.003, curve.max_power()));
    ASSERT_TRUE(mixed);
    EXPECT_GE(mixed->in_base(), rate.in_base() * (1 - 3e-3));
  }
}

TEST(Training, ItsValueIsAnInputThatMayChange) {
  const auto sites = site({});
  const inference::GpuPowerEstimator estimator{sites->points, shipped_catalog()};
  const auto found = find_sensitivities(sites->plan, shipped_catalog(), sites->points, estimator);
  const auto at =
      std::find_if(found.changes.begin(), found.changes.end(),
                   [](const Sensitivity& one) { return one.input == "value of trained tokens"; });
  ASSERT_NE(at, found.changes.end());
  const auto answer = solve(*sites);
  EXPECT_NEAR(in_usd_per_hour(at->profit), 0.1 * in_usd_per_hour(answer.plan.totals.training_value),
              1e-6);
  EXPECT_NEAR(in_usd_per_hour(found.per_percent_tokens_per_joule),
              0.01 * in_usd_per_hour(answer.plan.totals.training_value), 1e-6);
}

}  // namespace
}  // namespace perwatt::plan
