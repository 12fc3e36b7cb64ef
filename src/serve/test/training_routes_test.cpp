#include "perwatt/serve/training_routes.hpp"

#include <filesystem>
#include <thread>

#include "served_pipelines.hpp"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "perwatt/net/fetch.hpp"

namespace perwatt::serve {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

/// The routes behind a server, asked one request after the other.
class TrainingRoutesTest : public ::testing::Test {
 protected:
  TrainingRoutesTest()
      : folder_{std::filesystem::temp_directory_path() /
                ("perwatt-routes-" + std::to_string(::getpid()))},
        jobs_{pipelines(), make(folder_) / "jobs.sqlite", {}, [] { return seconds(1e9); }},
        routes_{jobs_},
        server_{{}, [this](const net::HttpRequest& request, const net::HttpReply& reply) {
                  routes_.handle(request,
                                 {[reply](net::HttpAnswer answer, net::HttpReply::Done done) {
                                    reply.send(std::move(answer), std::move(done));
                                  },
                                  [reply] { return reply.is_open(); }});
                }} {
    thread_ = std::thread{[this] { server_.run(); }};
  }

  ~TrainingRoutesTest() override {
    server_.stop();
    thread_.join();
    std::filesystem::remove_all(folder_);
  }

  net::FetchAnswer get(const std::string& path) { return fetch(path, {}); }

  net::FetchAnswer post(const std::string& path, const std::string& body) {
    return fetch(path, body);
  }

  std::string register_job() {
    const auto answer =
        post("/register_job", R"({"job_id":"","pp_degree":2,"dp_degree":1,"tp_degree":1,)"
                              R"("world_size":2,"job_metadata":"a run"})");
    EXPECT_EQ(answer.status, 200) << answer.body;
    return json::parse(answer.body).get<std::string>();
  }

  static std::string rank_body(int rank) {
    return R"({"rank":)" + std::to_string(rank) + R"(,"dp_rank":0,"pp_rank":)" +
           std::to_string(rank) + R"(,"tp_rank":0,"available_frequencies":[1400,1200,1000]})";
  }

 private:
  static std::vector<std::unique_ptr<PlannedPipeline>> pipelines() {
    std::vector<std::unique_ptr<PlannedPipeline>> list;
    list.push_back(served("small"));
    return list;
  }

  static const std::filesystem::path& make(const std::filesystem::path& folder) {
    std::filesystem::create_directories(folder);
    return folder;
  }

  net::FetchAnswer fetch(const std::string& path, const std::optional<std::string>& body) {
    net::Fetcher fetcher{{}};
    auto answer = fetcher.fetch(server_.url() + path, body);
    EXPECT_TRUE(answer.ok());
    return answer.ok() ? std::move(answer).value() : net::FetchAnswer{};
  }

  std::filesystem::path folder_;
  TrainingJobs jobs_;
  TrainingRoutes routes_;
  net::HttpServer server_;
  std::thread thread_;
};

TEST_F(TrainingRoutesTest, SpeakWhatTheClientExpects) {
  const auto job = register_job();
  EXPECT_EQ(job, "2001-09-09-01-46-40+dp1+pp2+tp1+perwatt+a run");
  const std::string escaped = "2001-09-09-01-46-40+dp1+pp2+tp1+perwatt+a%20run";
  for (const int rank : {0, 1}) {
    const auto answer = post("/register_rank/" + escaped, rank_body(rank));
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.body, "null");
  }
  std::thread first{[&] {
    const auto answer = get("/schedule/" + escaped + "?rank=0");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(json::parse(answer.body)["rank"], 0);
  }};
  const auto answer = get("/schedule/" + escaped + "?rank=1");
  first.join();
  const auto schedule = json::parse(answer.body);
  EXPECT_EQ(schedule["rank"], 1);
  ASSERT_EQ(schedule["frequencies"].size(), 8U);
  EXPECT_EQ(schedule["frequencies"][0][0], "forward");
  EXPECT_TRUE(schedule["frequencies"][0][1].is_number_integer());
  const auto report =
      post("/result/" + escaped, R"({"rank":1,"iter_time":[1.5],"iter_energy":[99],)"
                                 R"("time_breakdown":{"forward":[[0.1]]},"energy_breakdown":{}})");
  EXPECT_EQ(report.status, 200) << report.body;
  const auto slowed = post("/straggler/" + escaped, R"({"rank":0,"slowdown_ratio":1.25})");
  EXPECT_EQ(json::parse(slowed.body)["slowdown_ratios"][0]["slowdown_ratio"], 1.25);
  const auto capped = post("/power_cap/" + escaped, R"({"gpu_power_watts":600})");
  EXPECT_EQ(json::parse(capped.body)["gpu_power_watts"], 600) << capped.body;
  EXPECT_EQ(post("/power_cap/" + escaped, R"({"gpu_power_watts":null})").status, 200);
  const auto info = json::parse(get("/info").body);
  EXPECT_EQ(info["pipelines"][0]["name"], "small");
  EXPECT_EQ(info["jobs"][0]["job_id"], job);
  EXPECT_EQ(info["jobs"][0]["rounds"], 1);
  EXPECT_EQ(info["jobs"][0]["measured_iteration_time_seconds"], 1.5);
  EXPECT_TRUE(info["jobs"][0]["gpu_power_watts"].is_null());
}

TEST_F(TrainingRoutesTest, RefuseWithTheReason) {
  const auto job = json(register_job()).get<std::string>();
  const std::string path = "2001-09-09-01-46-40+dp1+pp2+tp1+perwatt+a%20run";
  EXPECT_EQ(post("/register_rank/" + path, rank_body(0)).status, 200);

  const struct {
    std::string path;
    std::optional<std::string> body;
    int status;
    const char* mentions;
  } kCases[] = {
      {"/", {}, 404, "routes: /register_job"},
      {"/register_job/x", "{}", 404, "nothing at"},
      {"/register_job", {}, 405, "takes POST, not GET"},
      {"/schedule/" + path, "{}", 405, "takes GET, not POST"},
      {"/register_job", "", 400, "no JSON"},
      {"/register_job", "[1]", 400, "no JSON object"},
      {"/register_job", "{}", 400, "pp_degree"},
      {"/register_job", R"({"pp_degree":0,"dp_degree":1,"tp_degree":1,"world_size":0})", 400,
       "pp_degree"},
      {"/register_job", R"({"pp_degree":2,"dp_degree":1,"tp_degree":1,"world_size":2.5})", 400,
       "world_size"},
      {"/register_job", R"({"pp_degree":2,"dp_degree":1,"tp_degree":1})", 400, "world_size"},
      {"/register_job",
       R"({"job_id":"mine","pp_degree":2,"dp_degree":1,"tp_degree":1,"world_size":2})", 400,
       "job_id"},
      {"/register_job",
       R"({"pp_degree":2147483647,"dp_degree":2147483647,"tp_degree":2147483647,"world_size":2})",
       400, "world_size"},
      {"/register_rank/" + path, rank_body(0), 409, "registered already"},
      {"/register_rank/" + path, rank_body(2), 400, "rank 2 is not one of 2"},
      {"/register_rank/nobody", rank_body(0), 404, "nobody"},
      {"/register_rank/" + path, R"({"rank":1,"dp_rank":0,"pp_rank":1,"tp_rank":0})", 400,
       "available_frequencies"},
      {"/register_rank/" + path,
       R"({"rank":1,"dp_rank":0,"pp_rank":1,"tp_rank":0,"available_frequencies":[1400.5]})", 400,
       "available_frequencies"},
      {"/register_rank/" + path,
       R"({"rank":-1,"dp_rank":0,"pp_rank":1,"tp_rank":0,"available_frequencies":[1400]})", 400,
       "rank"},
      {"/schedule/" + path, {}, 400, "rank is missing"},
      {"/schedule/" + path + "?rank=x", {}, 400, "rank is 'x'"},
      {"/schedule/" + path + "?rank=7", {}, 400, "rank 7"},
      {"/schedule/" + path + "?rank=1", {}, 409, "rank 1 has not registered"},
      {"/schedule/" + path + "?rank=0&round=4", {}, 409, "round 4"},
      {"/result/" + path, R"({"rank":0,"iter_time":[1],"iter_energy":[1]})", 409, "handed out"},
      {"/result/" + path, R"({"rank":0,"iter_time":"long","iter_energy":[1]})", 400, "iter_time"},
      {"/straggler/" + path, R"({"rank":0})", 400, "slowdown_ratio"},
      {"/straggler/" + path, R"({"rank":1,"slowdown_ratio":2})", 409, "rank 1 has not registered"},
      {"/power_cap/" + path, R"({})", 400, "gpu_power_watts"},
      {"/power_cap/" + path, R"({"gpu_power_watts":-3})", 400, "gpu_power_watts"},
      {"/power_cap/" + path, R"({"gpu_power_watts":1})", 409, "the slowest draws"},
      {"/power_cap/" + path, "{\"gpu_power_watts\":\"\xff\"}", 400, "no JSON"},
  };

  for (const auto& test : kCases) {
    const auto answer = test.body ? post(test.path, *test.body) : get(test.path);
    EXPECT_EQ(answer.status, test.status) << test.path << ' ' << test.body.value_or("");
    EXPECT_THAT(json::parse(answer.body)["detail"].get<std::string>(), HasSubstr(test.mentions));
  }
}

}  // namespace
}  // namespace perwatt::serve
