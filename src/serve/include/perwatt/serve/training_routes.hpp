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
  /// {"detail": reason} with 4xx, or with 503 for what may be asked again.
  void handle(const net::HttpRequest& request, const Caller& caller);

 private:
  TrainingJobs& jobs_;
};

}  // namespace perwatt::serve
