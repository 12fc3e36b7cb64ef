#include "perwatt/training/iteration_fit.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "error_of.hpp"
#include "training_cases.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace perwatt::training {
namespace {

struct MeasuredRun {
  const char* file;
  int stages;
  int microbatches;
};

void PrintTo(const MeasuredRun& run, std::ostream* out) {
  *out << run.file;
}

struct Errors {
  double mean = 0;
  double most = 0;
};

/// Fitted on every second plan, judged on the others.
Errors held_out_errors(const MeasuredRun& run, const std::string& folder) {
  const auto path = folder + run.file + "_iterations.csv";
  const auto all = read_iterations(read_file(path), path);
  std::vector<MeasuredIteration> fitted;
  std::vector<MeasuredIteration> held_out;
  for (std::size_t i = 0; i < all.size(); ++i) {
    (i % 2 == 0 ? fitted : held_out).push_back(all[i]);
  }
  const auto shape = shape_of(run.stages, run.microbatches);
  const auto fit = fit_iterations(fitted, shape);
  EXPECT_GE(fit.transfer, Seconds{});
  EXPECT_GE(fit.tail, Seconds{});
  Errors errors;
  for (const auto& iteration : held_out) {
    const double error = std::abs(predicted_time(iteration, shape, fit) / iteration.time - 1);
    errors.mean += error / static_cast<double>(held_out.size());
    errors.most = std::max(errors.most, error);
  }
  return errors;
}

class MeasuredIterations : public testing::TestWithParam<MeasuredRun> {};

// Real GPUs (tests/data/training/measured).
TEST_P(MeasuredIterations, AreWithinOnePercentOnPlansNotFitted) {
  EXPECT_LE(held_out_errors(GetParam(), kTrainingData + "measured/").most, 0.01);
}

INSTANTIATE_TEST_SUITE_P(Runs, MeasuredIterations,
                         testing::Values(MeasuredRun{"A100_pp4_gpt3-xl_mbs8_M128", 4, 128},
                                         MeasuredRun{"A100_pp4_bloom-3b_mbs4_M128", 4, 128},
                                         MeasuredRun{"A40_pp8_gpt3-2.7b_mbs4_M256", 8, 256},
                                         MeasuredRun{"A40_pp8_bloom-3b_mbs4_M128", 8, 128}));

// Models beyond those of tests/data, for docs/limits.md: PERWATT_TRAINING_DIR as in BesideLowtime.
TEST(IterationFit, OtherModelsErrors) {
  const char* whole = std::getenv("PERWATT_TRAINING_DIR");
  if (whole == nullptr) {
    GTEST_SKIP() << "PERWATT_TRAINING_DIR is not set";
  }
  for (const auto& run : {MeasuredRun{"A100_pp4_bert-huge-uncased_mbs8_M32", 4, 32},
                          MeasuredRun{"A100_pp4_t5-3b_mbs4_M32", 4, 32},
                          MeasuredRun{"A100_pp4_wide-resnet101_8_mbs64_M24", 4, 24},
                          MeasuredRun{"A40_pp8_bert-huge-uncased_mbs8_M32", 8, 32},
                          MeasuredRun{"A40_pp8_t5-3b_mbs4_M32", 8, 32},
                          MeasuredRun{"A40_pp8_wide-resnet101_8_mbs32_M48", 8, 48}}) {
    const auto errors = held_out_errors(run, std::string{whole} + "/measured/");
    std::printf("%s: mean %.2f %%, most %.2f %%\n", run.file, 100 * errors.mean, 100 * errors.most);
    EXPECT_LT(errors.most, 0.2);
  }
}

TEST(IterationFit, FindsTransferAndTailThatMadeTheIterations) {
  Random random{5};
  auto shape = shape_of(4, 8);
  const IterationFit truth{seconds(0.003), seconds(0.05)};
  std::vector<MeasuredIteration> iterations;
  for (int i = 0; i < 12; ++i) {
    MeasuredIteration iteration;
    // Alternately balanced and one slow stage: the transfer counts differently.
    for (int stage = 0; stage < 4; ++stage) {
      const double slow = i % 2 == 0 && stage == 2 ? 3 : 1;
      iteration.forward.push_back(seconds(slow * (0.01 + 0.002 * random_share(random))));
      iteration.backward.push_back(seconds(slow * (0.02 + 0.002 * random_share(random))));
    }
    iteration.time = predicted_time(iteration, shape, truth);
    iterations.push_back(iteration);
  }
  const auto fit = fit_iterations(iterations, shape);
  EXPECT_NEAR(fit.transfer.in_base(), 0.003, 1e-6);
  EXPECT_NEAR(fit.tail.in_base(), 0.05, 1e-5);
}

TEST(IterationFit, BadFilesAreRefused) {
  const auto complaint = [](const std::string& text) {
    return error_of([&] { static_cast<void>(read_iterations(text, "m.csv")); });
  };
  EXPECT_THAT(complaint("measured_iter_time_s\n1\n"), testing::HasSubstr("fwd_s0"));
  EXPECT_THAT(complaint("measured_iter_time_s,fwd_s0,bwd_s0\n1,0,1\n"),
              testing::HasSubstr("m.csv:2: fwd_s0"));
}

}  // namespace
}  // namespace perwatt::training
