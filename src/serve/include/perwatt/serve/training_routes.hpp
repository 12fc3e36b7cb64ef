// TrainingJobs over HTTP: the routes of zeus's pipeline frequency optimizer, so that its client
// works unchanged, and two that change plans during a run (docs/reference/training-server.md).
#pragma once

#include "perwatt/net/http_server.hpp"
#include "perwatt/serve/training_jobs.hpp"

namespace perwatt::serve {

class TrainingRoutes {
 public:
  /// `jobs` must outlive it.
  explicit TrainingRoutes(TrainingJobs& jobs) : jobs_{jobs} {}

  /// Answers every request, at once or, for /schedule, when all ranks have asked: 200 with JSON, or
  /// 4xx with {"detail": reason}.
  void handle(const net::HttpRequest& request, const TrainingJobs::Deliver& deliver);

 private:
  [[nodiscard]] net::HttpAnswer answer(const net::HttpRequest& request, const std::string& route,
                                       const std::string& job);

  TrainingJobs& jobs_;
};

}  // namespace perwatt::serve
