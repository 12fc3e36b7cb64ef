// Requests to the training server, one after the other: "METHOD PATH?QUERY", a line break, the
// body; a line of "%%" before the next.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz_check.hpp"
#include <nlohmann/json.hpp>

#include "perwatt/serve/training_routes.hpp"
#include "perwatt/training/profile.hpp"
#include "perwatt/training/schedule.hpp"

namespace {

using namespace perwatt;

std::vector<std::unique_ptr<serve::PlannedPipeline>> one_pipeline() {
  static const auto pipeline = [] {
    training::PipelineShape shape;
    shape.stages = 2;
    shape.microbatches = 2;
    shape.blocking_power = watts(1);
    return training::make_pipeline(
        training::read_profile("stage,instruction,frequency,time,energy\n"
                               "0,forward,1410,1,5\n0,forward,1200,1.5,3\n0,backward,1410,2,9\n"
                               "1,forward,1410,1,5\n1,backward,1410,2,9\n1,backward,1200,3,7\n",
                               "profile.csv"),
        shape);
  }();
  std::vector<std::unique_ptr<serve::PlannedPipeline>> pipelines;
  pipelines.push_back(
      std::make_unique<serve::PlannedPipeline>("p", pipeline, serve::PlanGoal{}, "fuzz"));
  return pipelines;
}

net::HttpRequest request_of(std::string_view text) {
  const auto line = text.substr(0, text.find('\n'));
  net::HttpRequest request;
  request.method = std::string{line.substr(0, line.find(' '))};
  if (line.size() > request.method.size()) {
    const auto target = line.substr(request.method.size() + 1);
    const auto mark = target.find('?');
    request.path = std::string{target.substr(0, mark)};
    request.query = mark == std::string_view::npos ? "" : std::string{target.substr(mark + 1)};
  }
  request.body = std::string{text.substr(std::min(text.size(), line.size() + 1))};
  return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  serve::JobLimits limits;
  limits.waiting = 64;
  serve::TrainingJobs jobs{one_pipeline(), ":memory:", limits, [] { return seconds(1e9); }};
  serve::TrainingRoutes routes{jobs};
  constexpr std::string_view kSeparator = "\n%%\n";
  std::string_view rest{reinterpret_cast<const char*>(data), size};
  while (!rest.empty()) {
    const auto end = rest.find(kSeparator);
    routes.handle(request_of(rest.substr(0, end)),
                  {[](const net::HttpAnswer& answer, const net::HttpReply::Done& done) {
                     const auto json = nlohmann::json::parse(answer.body);
                     const bool is_refusal = answer.status >= 400 && answer.status < 500;
                     fuzz::demand(answer.status == 200 || is_refusal, "neither answer nor refusal");
                     if (is_refusal) {
                       fuzz::demand_one_line(json.at("detail").get<std::string>());
                     }
                     if (done) {
                       done(answer.body.size() % 2 == 0);
                     }
                   },
                   [size] { return size % 3 != 0; }});
    rest = end == std::string_view::npos ? "" : rest.substr(end + kSeparator.size());
  }
  return 0;
}
