#include "perwatt/serve/training_jobs.hpp"

#include <csignal>
#include <filesystem>

#include "served_pipelines.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <unistd.h>

#include "perwatt/base/error.hpp"

namespace perwatt::serve {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// What one rank got, and the handle that says whether it arrived.
struct Got {
  std::optional<net::HttpAnswer> answer;
  net::HttpReply::Done done;
  bool is_there = true;

  [[nodiscard]] json body() const { return json::parse(answer->body); }

  void arrives(bool is_sent = true) const {
    if (done) {
      done(is_sent);
    }
  }
};

class TrainingJobsTest : public ::testing::Test {
 protected:
  TrainingJobsTest()
      : folder_{std::filesystem::temp_directory_path() /
                ("perwatt-jobs-" + std::to_string(::getpid()) + "-" +
                 ::testing::UnitTest::GetInstance()->current_test_info()->name())} {
    std::filesystem::create_directories(folder_);
    open();
  }

  ~TrainingJobsTest() override {
    jobs_.reset();
    std::filesystem::remove_all(folder_);
  }

  /// A server that starts, or starts again.
  void open(std::vector<std::unique_ptr<PlannedPipeline>> pipelines = two_pipelines(),
            JobLimits limits = {}) {
    jobs_.reset();
    jobs_ = std::make_unique<TrainingJobs>(std::move(pipelines), folder_ / "jobs.sqlite", limits,
                                           [this] { return now_; });
  }

  static std::vector<std::unique_ptr<PlannedPipeline>> two_pipelines() {
    std::vector<std::unique_ptr<PlannedPipeline>> pipelines;
    pipelines.push_back(served("small"));
    pipelines.push_back(served("lean", {std::nullopt, true}));
    return pipelines;
  }

  /// A job of `replicas` x 2 stages x 1, all ranks registered: rank = 2 replica + stage.
  std::string job_of(int replicas, const std::string& metadata = "small") {
    const auto id = jobs_->register_job({2, replicas, 1, 2 * replicas, metadata});
    for (int rank = 0; rank < 2 * replicas; ++rank) {
      jobs_->register_rank(id, {rank, rank / 2, rank % 2, 0, {1400, 1200, 1000, 900}});
    }
    return id;
  }

  std::shared_ptr<Got> ask(const std::string& job, int rank, std::optional<int> round = {}) {
    auto got = std::make_shared<Got>();
    jobs_->ask(job, rank, round,
               {[got](net::HttpAnswer answer, net::HttpReply::Done done) {
                  got->answer = std::move(answer);
                  got->done = std::move(done);
                },
                [got] { return got->is_there; }});
    return got;
  }

  std::vector<std::shared_ptr<Got>> ask_all(const std::string& job, int ranks) {
    std::vector<std::shared_ptr<Got>> all;
    for (int rank = 0; rank < ranks; ++rank) {
      all.push_back(ask(job, rank));
    }
    for (const auto& got : all) {
      got->arrives();
    }
    return all;
  }

  template <class Call>
  std::string refusal(int status, Call call) {
    try {
      call();
    } catch (const Refusal& refused) {
      EXPECT_EQ(refused.status(), status) << refused.what();
      return refused.what();
    }
    ADD_FAILURE() << "nothing was refused";
    return {};
  }

  TrainingJobs& jobs() { return *jobs_; }

  Seconds now_ = seconds(1764496149);  // 2025-11-30 09:49:09 UTC

 private:
  std::filesystem::path folder_;
  std::unique_ptr<TrainingJobs> jobs_;
};

TEST_F(TrainingJobsTest, NamesJobsAsZeusDoes) {
  EXPECT_EQ(jobs().register_job({2, 2, 4, 16, "small run 7"}),
            "2025-11-30-09-49-09+dp2+pp2+tp4+perwatt+small run 7");
  EXPECT_EQ(jobs().register_job({2, 2, 4, 16, "small run 7"}),
            "2025-11-30-09-49-09+dp2+pp2+tp4+perwatt+small run 7+2");
}

TEST_F(TrainingJobsTest, HandsOutOnePlanWhenAllHaveAsked) {
  const auto job = job_of(2);
  std::vector<std::shared_ptr<Got>> got;
  for (const int rank : {3, 0, 2}) {
    got.push_back(ask(job, rank));
  }
  for (const auto& one : got) {
    EXPECT_FALSE(one->answer) << "others have not asked";
  }
  EXPECT_THAT(jobs().state(job).waiting_for, ElementsAre(1));
  got.push_back(ask(job, 1));
  const std::vector<int> ranks{3, 0, 2, 1};
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_TRUE(got[i]->answer);
    EXPECT_EQ(got[i]->answer->status, 200);
    const auto body = got[i]->body();
    EXPECT_EQ(body["rank"], ranks[i]);
    EXPECT_EQ(body["round"], 1);
    EXPECT_EQ(body["frequencies"].size(), 8U);
    EXPECT_EQ(body["frequencies"][0][0], "forward");
    EXPECT_EQ(body["frequencies"],
              json::parse(jobs().pipelines()[0]->plan({})->frequencies[ranks[i] % 2U]));
  }
  EXPECT_EQ(jobs().state(job).rounds, 1);
  EXPECT_THAT(jobs().state(job).waiting_for, IsEmpty());
}

TEST_F(TrainingJobsTest, WaitsForRanksThatHaveNotRegistered) {
  const auto job = jobs().register_job({2, 1, 1, 2, "small"});
  jobs().register_rank(job, {0, 0, 0, 0, {1000, 1200, 1400}});
  const auto first = ask(job, 0);
  EXPECT_FALSE(first->answer);
  EXPECT_THAT(refusal(409, [&] { ask(job, 1); }), HasSubstr("rank 1 has not registered"));
  jobs().register_rank(job, {1, 0, 1, 0, {1000, 1200, 1400}});
  EXPECT_FALSE(first->answer);
  EXPECT_TRUE(ask(job, 1)->answer);
  EXPECT_TRUE(first->answer);
}

TEST_F(TrainingJobsTest, SwapsPlansAtTheNextRoundOnly) {
  const auto job = job_of(3);
  const auto usual = ask_all(job, 6);
  const auto before = jobs().state(job);
  const auto after = jobs().set_slowdown(job, 1, 1.3);  // replica 0
  EXPECT_NEAR(after.iteration_time / before.iteration_time, 1.3, 1e-12);
  EXPECT_EQ(ask(job, 0, 1)->body()["frequencies"], usual[0]->body()["frequencies"])
      << "round 1 stays what it was";
  const auto swapped = ask_all(job, 6);
  EXPECT_EQ(swapped[0]->body()["frequencies"], usual[0]->body()["frequencies"])
      << "the straggler goes on as before";
  EXPECT_EQ(swapped[2]->body()["frequencies"], swapped[4]->body()["frequencies"]);
  const auto& pipeline = *jobs().pipelines()[0];
  const auto slow = pipeline.waiting_plan({}, before.plan->time * 1.3);
  for (const int rank : {2, 3, 4, 5}) {
    EXPECT_EQ(swapped[static_cast<std::size_t>(rank)]->body()["frequencies"],
              json::parse(slow->frequencies[static_cast<std::size_t>(rank % 2)]));
  }
  EXPECT_LT(slow->energy, before.plan->energy + pipeline.planner().frontier().blocking() *
                                                    (slow->time - before.plan->time));
  // A second straggler, less slow: between the two.
  jobs().set_slowdown(job, 2, 1.1);
  const auto both = ask_all(job, 6);
  EXPECT_EQ(both[0]->body()["frequencies"], usual[0]->body()["frequencies"]);
  EXPECT_NEAR(both[2]->body()["iteration_time_seconds"].get<double>() * 1.1,
              in_seconds(before.plan->time) * 1.3, 1e-9);
  jobs().set_slowdown(job, 1, 1);
  jobs().set_slowdown(job, 2, 1);
  const auto again = ask_all(job, 6);
  EXPECT_EQ(again[4]->body()["frequencies"], usual[4]->body()["frequencies"]);
  EXPECT_EQ(again[4]->body()["round"], 4);
}

TEST_F(TrainingJobsTest, KeepsAPowerCapOfAllItsBoards) {
  const auto job = job_of(2);
  const auto free = jobs().state(job);
  const auto power = free.plan->energy / free.plan->time * 2;  // two replicas
  const auto capped = jobs().set_power_cap(job, power * 0.8);
  EXPECT_LE(capped.plan->energy / capped.plan->time * 2, power * 0.8 * (1 + 1e-9));
  const auto got = ask_all(job, 4);
  EXPECT_NEAR(got[0]->body()["iteration_time_seconds"].get<double>(), in_seconds(capped.plan->time),
              1e-12);
  EXPECT_THAT(refusal(409, [&] { jobs().set_power_cap(job, watts(150)); }),
              HasSubstr("while it runs; the slowest draws"));
  EXPECT_EQ(jobs().state(job).power_cap, power * 0.8) << "a refusal changes nothing";
  EXPECT_EQ(jobs().set_power_cap(job, std::nullopt).plan->time, free.plan->time);
}

TEST_F(TrainingJobsTest, GivesTheSameRoundAgainToWhoLostIt) {
  const auto job = job_of(1);
  const auto first = ask(job, 0);
  const auto second = ask(job, 1);
  first->arrives(false);
  second->arrives();
  jobs().set_power_cap(job, std::nullopt);
  const auto again = ask(job, 0);
  ASSERT_TRUE(again->answer) << "without waiting for rank 1";
  EXPECT_EQ(again->body(), first->body());
  again->arrives();
  EXPECT_FALSE(ask(job, 0)->answer) << "now it waits for round 2";
  EXPECT_EQ(ask(job, 1, 1)->body()["round"], 1) << "by number, as often as asked";
  EXPECT_THAT(refusal(409, [&] { ask(job, 1, 3); }), HasSubstr("the newest is 1"));
  EXPECT_THAT(refusal(409, [&] { ask(job, 1, 0); }), HasSubstr("the newest is 1"));
}

TEST_F(TrainingJobsTest, ARepeatThatIsLostChangesNothing) {
  const auto job = job_of(1);
  ask_all(job, 2);
  const auto repeat = ask(job, 0, 1);
  repeat->arrives(false);
  EXPECT_FALSE(ask(job, 0)->answer) << "it has round 1 and waits for round 2";
}

TEST_F(TrainingJobsTest, ACallerThatHungUpHasNotAsked) {
  const auto job = job_of(1);
  const auto gone = ask(job, 0);
  gone->is_there = false;
  EXPECT_FALSE(ask(job, 1)->answer) << "rank 0 is not there";
  EXPECT_THAT(jobs().state(job).waiting_for, ElementsAre(0));
  EXPECT_TRUE(ask(job, 0)->answer);
}

TEST_F(TrainingJobsTest, LetsSoManyRanksWait) {
  JobLimits limits;
  limits.waiting = 4;
  open(two_pipelines(), limits);
  EXPECT_THAT(refusal(400, [&] { job_of(3); }), HasSubstr("lets 4 wait"));
  const auto large = job_of(2);
  const auto small = job_of(1);
  for (const int rank : {0, 1, 2}) {
    ask(large, rank);
  }
  ask(small, 0);
  EXPECT_THAT(refusal(503, [&] { ask(small, 1); }), HasSubstr("4 ranks wait"));
}

TEST_F(TrainingJobsTest, ANewRoundOfOtherPlansForgetsWhatWasMeasured) {
  const auto job = job_of(2);
  ask_all(job, 4);
  jobs().report(job, {0, {1}, {100}});
  ask_all(job, 4);
  EXPECT_TRUE(jobs().state(job).measured_time) << "the same plans";
  jobs().set_slowdown(job, 0, 2);
  ask_all(job, 4);
  EXPECT_FALSE(jobs().state(job).measured_time);
  open();
  EXPECT_FALSE(jobs().state(job).measured_time);
}

/// No file of this process may grow.
class FullDisk {
 public:
  FullDisk() {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit none = before_;
    none.rlim_cur = 1;
    ::setrlimit(RLIMIT_FSIZE, &none);
  }

  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before_); }

  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_{};
};

TEST_F(TrainingJobsTest, ChangesNothingThatItCannotKeep) {
  const auto job = job_of(1);
  ask_all(job, 2);
  jobs().report(job, {0, {1}, {100}});
  const auto before = jobs().state(job);
  const auto first = ask(job, 0);
  {
    const FullDisk full;
    const auto second = ask(job, 1);
    ASSERT_TRUE(first->answer);
    EXPECT_EQ(first->answer->status, 503);
    EXPECT_EQ(second->answer->status, 503);
    EXPECT_THROW(jobs().report(job, {0, {7}, {700}}), Error);
    EXPECT_THROW(jobs().set_slowdown(job, 0, 2), Error);
    EXPECT_THROW(jobs().set_power_cap(job, watts(1e4)), Error);
    EXPECT_THROW(jobs().register_job({2, 1, 1, 2, "small"}), Error);
  }
  const auto after = jobs().state(job);
  EXPECT_EQ(after.rounds, before.rounds);
  EXPECT_EQ(after.measured_time, before.measured_time);
  EXPECT_EQ(after.slowdown_ratios, before.slowdown_ratios);
  EXPECT_FALSE(after.power_cap);
  EXPECT_EQ(jobs().states().size(), 1U);
  const auto again = ask_all(job, 2);
  EXPECT_EQ(again[0]->body()["round"], 2) << "when there is room";
}

TEST_F(TrainingJobsTest, AnswersARankThatAsksTwiceOnce) {
  const auto job = job_of(1);
  const auto first = ask(job, 0);
  const auto second = ask(job, 0);
  ASSERT_TRUE(first->answer);
  EXPECT_EQ(first->answer->status, 409);
  EXPECT_FALSE(second->answer);
  ask(job, 1);
  EXPECT_EQ(second->answer->status, 200);
}

TEST_F(TrainingJobsTest, GoesOnWhereItWas) {
  const auto job = job_of(2);
  const auto other = job_of(1, "lean");
  jobs().set_slowdown(job, 0, 1.2);
  const auto got = ask_all(job, 4);
  jobs().report(job, {0, {1, 3}, {100, 300}});
  got[3]->done(false);
  jobs().set_slowdown(job, 3, 1.5);
  const auto before = jobs().state(job);
  const auto waits = ask(other, 0);
  open();
  const auto after = jobs().state(job);
  EXPECT_EQ(after.registered, 4);
  EXPECT_EQ(after.rounds, 1);
  EXPECT_EQ(after.slowdown_ratios, before.slowdown_ratios);
  EXPECT_EQ(after.iteration_time, before.iteration_time);
  EXPECT_EQ(after.measured_time, seconds(2));
  EXPECT_EQ(ask(job, 3)->body(), got[3]->body()) << "the round it lost, not the next plan";
  EXPECT_EQ(ask(job, 2, 1)->body(), got[2]->body());
  EXPECT_THAT(refusal(409,
                      [&] {
                        jobs().register_rank(job, {0, 0, 0, 0, {1000, 1200, 1400}});
                      }),
              HasSubstr("registered already"));
  // The rank that waited asks again.
  EXPECT_FALSE(ask(other, 0)->answer);
  EXPECT_TRUE(ask(other, 1)->answer);
  const auto lean = ask(other, 0, 1)->body();
  EXPECT_NEAR(lean["iteration_time_seconds"].get<double>(),
              in_seconds(jobs().pipelines()[1]->plan({})->time), 1e-12);
}

TEST_F(TrainingJobsTest, SaysWhenAPipelineHasChanged) {
  const auto job = job_of(1);
  ask_all(job, 2);
  std::vector<std::unique_ptr<PlannedPipeline>> changed;
  changed.push_back(std::make_unique<PlannedPipeline>("small", small_pipeline(kSmallProfile, 3),
                                                      PlanGoal{}, "test"));
  open(std::move(changed));
  EXPECT_THAT(refusal(409, [&] { ask(job, 0); }), HasSubstr("has changed"));
}

TEST_F(TrainingJobsTest, SaysWhenAPipelineIsGone) {
  const auto job = job_of(1, "lean");
  ask_all(job, 2);
  std::vector<std::unique_ptr<PlannedPipeline>> only_small;
  only_small.push_back(served("small"));
  open(std::move(only_small));
  EXPECT_THAT(refusal(409, [&] { ask(job, 0); }), HasSubstr("'lean' is no longer"));
  EXPECT_EQ(ask(job, 0, 1)->answer->status, 200) << "the round handed out is still known";
  EXPECT_THAT(refusal(409, [&] { jobs().set_power_cap(job, watts(1e6)); }), HasSubstr("lean"));
  EXPECT_FALSE(jobs().state(job).plan);
}

TEST_F(TrainingJobsTest, ForgetsIdleJobsWhenANewOneComes) {
  JobLimits limits;
  limits.jobs = 2;
  limits.idle = seconds(3600);
  open(two_pipelines(), limits);
  const auto idle = job_of(1);
  const auto waits = ask(idle, 0);
  const auto busy = job_of(1);
  EXPECT_THAT(refusal(429, [&] { job_of(1); }), HasSubstr("there are 2 jobs"));
  now_ = now_ + seconds(3000);
  ask(busy, 0);
  now_ = now_ + seconds(1000);
  const auto fresh = job_of(1);
  EXPECT_THAT(refusal(404, [&] { static_cast<void>(jobs().state(idle)); }), HasSubstr(idle));
  ASSERT_TRUE(waits->answer);
  EXPECT_EQ(waits->answer->status, 404);
  EXPECT_EQ(jobs().states().size(), 2U);
  now_ = now_ + seconds(86400);
  open(two_pipelines(), limits);
  EXPECT_EQ(jobs().states().size(), 2U) << "also in the file";
  EXPECT_EQ(jobs().state(fresh).registered, 2);
  EXPECT_THAT(refusal(429, [&] { job_of(1); }), HasSubstr("2 jobs")) << "no server ran meanwhile";
}

TEST_F(TrainingJobsTest, RefusesWhatIsNoJob) {
  const auto reason = [&](const JobRequest& request) {
    return refusal(400, [&] { jobs().register_job(request); });
  };
  EXPECT_THAT(reason({2, 2, 1, 5, "small"}),
              HasSubstr("world_size is 5 and the degrees multiply to 4"));
  EXPECT_THAT(reason({3, 1, 1, 3, "small"}), HasSubstr("pp_degree is 3"));
  EXPECT_THAT(reason({2, 1, 1, 2, "smal"}), HasSubstr("did you mean 'small'?"));
  EXPECT_THAT(reason({2, 1 << 20, 1, 2 << 20, "small"}), HasSubstr("lets 16000 wait"));
  EXPECT_THAT(jobs().register_job({2, 1, 1, 2, "small /../x é?#"}), HasSubstr("+small _.._x ____"))
      << "any text, but plain in the id";
}

TEST_F(TrainingJobsTest, RefusesWhatIsNoRank) {
  const std::vector<int> all{1400, 1200, 1000};
  const auto job = jobs().register_job({2, 2, 1, 4, "small"});
  const auto reason = [&](int status, const RankRequest& request) {
    return refusal(status, [&] { jobs().register_rank(job, request); });
  };
  EXPECT_THAT(refusal(404,
                      [&] {
                        jobs().register_rank("nobody", {0, 0, 0, 0, all});
                      }),
              HasSubstr("'nobody'"));
  EXPECT_THAT(reason(400, {4, 0, 0, 0, all}), HasSubstr("rank 4 is not one of 4"));
  EXPECT_THAT(reason(400, {0, 2, 0, 0, all}), HasSubstr("dp_rank is 2 of a degree of 2"));
  EXPECT_THAT(reason(400, {0, 0, 2, 0, all}), HasSubstr("pp_rank"));
  EXPECT_THAT(reason(400, {0, 0, 0, 1, all}), HasSubstr("tp_rank"));
  EXPECT_THAT(reason(409, {0, 0, 0, 0, {1400, 1000}}), HasSubstr("no 1200 MHz"));
  jobs().register_rank(job, {0, 0, 0, 0, all});
  EXPECT_THAT(reason(409, {0, 0, 0, 0, all}), HasSubstr("registered already"));
  EXPECT_THAT(reason(409, {1, 0, 0, 0, all}),
              HasSubstr("another rank has registered as dp_rank 0, pp_rank 0, tp_rank 0"));
}

TEST_F(TrainingJobsTest, RefusesWhatIsNoQuestionOrReport) {
  const auto job = job_of(2);
  EXPECT_THAT(refusal(400, [&] { ask(job, -1); }), HasSubstr("rank -1"));
  EXPECT_THAT(refusal(409, [&] { jobs().report(job, {0, {1}, {1}}); }), HasSubstr("handed out"));
  ask_all(job, 4);
  EXPECT_THAT(refusal(400,
                      [&] {
                        jobs().report(job, {0, {1, 2}, {1}});
                      }),
              HasSubstr("iter_time has 2 entries and iter_energy 1"));
  EXPECT_THAT(refusal(400, [&] { jobs().report(job, {0, {0}, {1}}); }), HasSubstr("0 s"));
  for (const double ratio : {0.9, 101.0, -1.0}) {
    EXPECT_THAT(refusal(400, [&] { jobs().set_slowdown(job, 0, ratio); }),
                HasSubstr("slowdown_ratio"));
  }
  EXPECT_EQ(jobs().state(job).rounds, 1);
}

TEST_F(TrainingJobsTest, AddsUpWhatRanksMeasured) {
  const auto job = job_of(1);
  ask_all(job, 2);
  jobs().report(job, {0, {1, 3}, {100, 300}});
  EXPECT_EQ(jobs().state(job).measured_time, seconds(2));
  EXPECT_FALSE(jobs().state(job).measured_energy) << "rank 1 has not reported";
  jobs().report(job, {1, {2}, {50}});
  EXPECT_EQ(jobs().state(job).measured_time, seconds(2));
  EXPECT_EQ(jobs().state(job).measured_energy, Joules::from_base(250));
}

}  // namespace
}  // namespace perwatt::serve
