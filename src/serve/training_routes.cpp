#include "perwatt/serve/training_routes.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "perwatt/base/error.hpp"
#include "perwatt/base/json_node.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::serve {

namespace {

constexpr const char* kRemedy = "send what docs/reference/training-server.md describes";

int degree(const JsonNode& body, const char* key) {
  const auto value = body.optional_int(key);
  if (!value || *value < 1) {
    body.fail(key, "a whole number from 1");
  }
  return *value;
}

int place(const JsonNode& body, const char* key) {
  const auto value = body.optional_int(key);
  if (!value) {
    body.fail(key, "a whole number from 0");
  }
  return *value;
}

JobRequest read_job(const JsonNode& body) {
  if (!body.optional_text("job_id").empty()) {
    body.fail("job_id", "an empty text: the server makes the id");
  }
  JobRequest request;
  request.pipeline_parallel = degree(body, "pp_degree");
  request.data_parallel = degree(body, "dp_degree");
  request.tensor_parallel = degree(body, "tp_degree");
  request.world_size = body.count("world_size");
  request.metadata = body.optional_text("job_metadata");
  return request;
}

RankRequest read_rank(const JsonNode& body) {
  RankRequest request;
  request.rank = place(body, "rank");
  request.data_parallel = place(body, "dp_rank");
  request.pipeline_parallel = place(body, "pp_rank");
  request.tensor_parallel = place(body, "tp_rank");
  for (const double frequency : body.numbers("available_frequencies")) {
    const int whole = frequency <= 1e6 ? static_cast<int>(frequency) : -1;
    if (whole != frequency) {
      body.fail("available_frequencies", "a list of frequencies in MHz");
    }
    request.available_frequencies.push_back(whole);
  }
  return request;
}

IterationReport read_report(const JsonNode& body) {
  IterationReport report;
  report.rank = place(body, "rank");
  report.seconds = body.numbers("iter_time");
  report.joules = body.numbers("iter_energy");
  return report;
}

std::pair<int, double> read_straggler(const JsonNode& body) {
  return {place(body, "rank"), body.number("slowdown_ratio")};
}

std::optional<Watts> read_cap(const JsonNode& body) {
  if (body.is_null("gpu_power_watts")) {
    return std::nullopt;
  }
  const double cap = body.not_negative("gpu_power_watts");
  if (!(cap > 0 && cap <= 1e12)) {
    body.fail("gpu_power_watts", "watts above 0 of all the job's GPU boards, or null");
  }
  return watts(cap);
}

/// The value of `name` in a query such as "rank=3&round=1"; nothing without it.
std::optional<int> query_number(const std::string& query, std::string_view name) {
  for (const auto& pair : split(query, '&')) {
    const auto equals = pair.find('=');
    if (pair.substr(0, equals) != name) {
      continue;
    }
    const auto text = equals == std::string::npos ? "" : pair.substr(equals + 1);
    const auto value = parse_integer(net::percent_decoded(text));
    if (!value || *value < 0 || *value > 1'000'000'000) {
      throw Refusal{
          400, std::string{name} + " is '" + printable(text) + "'; give a whole number from 0"};
    }
    return static_cast<int>(*value);
  }
  return std::nullopt;
}

Json plan_json(const StagePlan& plan) {
  return {{"time_seconds", in_seconds(plan.time)},
          {"energy_joules", plan.energy.in_base()},
          {"lower_bound_joules", plan.lower_bound.in_base()}};
}

Json state_json(const JobState& state) {
  Json json{{"job_id", state.id},
            {"pipeline", state.pipeline},
            {"world_size", state.world_size},
            {"registered_ranks", state.registered},
            {"rounds", state.rounds},
            {"waiting_for_ranks", state.waiting_for}};
  json["slowdown_ratios"] = Json::array();
  for (const auto& [rank, ratio] : state.slowdown_ratios) {
    json["slowdown_ratios"].push_back({{"rank", rank}, {"slowdown_ratio", ratio}});
  }
  json["gpu_power_watts"] = state.power_cap ? Json(state.power_cap->in_base()) : Json();
  json["next_plan"] = state.plan ? plan_json(*state.plan) : Json();
  json["iteration_time_seconds"] = state.plan ? Json(in_seconds(state.iteration_time)) : Json();
  json["measured_iteration_time_seconds"] =
      state.measured_time ? Json(in_seconds(*state.measured_time)) : Json();
  json["measured_iteration_energy_joules"] =
      state.measured_energy ? Json(state.measured_energy->in_base()) : Json();
  return json;
}

Json info_json(const TrainingJobs& jobs) {
  Json json{{"pipelines", Json::array()}, {"jobs", Json::array()}};
  for (const auto& pipeline : jobs.pipelines()) {
    const auto& frontier = pipeline->planner().frontier();
    json["pipelines"].push_back(
        {{"name", pipeline->name()},
         {"stages", pipeline->stages()},
         {"all_max_time_seconds", in_seconds(pipeline->planner().all_max().time)},
         {"fastest_time_seconds", in_seconds(frontier.fastest())},
         {"least_energy_time_seconds", in_seconds(frontier.least_energy_time())}});
  }
  for (const auto& state : jobs.states()) {
    json["jobs"].push_back(state_json(state));
  }
  return json;
}

/// The object a request brings. What is wrong with it is the caller's fault.
class Body {
 public:
  explicit Body(const std::string& text)
      : json_(parse_json(text, "body", kRemedy)), node_{json_, "body", kRemedy} {}

  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;

  [[nodiscard]] const JsonNode& node() const { return node_; }

 private:
  Json json_;
  JsonNode node_;
};

template <class Read>
auto read_body(const std::string& text, Read read) {
  try {
    return read(Body{text}.node());
  } catch (const Error& error) {
    throw Refusal{400, error.what()};
  }
}

struct Asked {
  const net::HttpRequest& request;
  std::string job;  // empty for routes without one
  const Caller& caller;
};

void answer_with(const Asked& asked, const Json& json) {
  asked.caller.deliver({200, json.dump()}, {});
}

struct Route {
  std::string_view name;
  std::string_view method;
  bool has_job;
  void (*answer)(TrainingJobs& jobs, const Asked& asked);
};

const std::array<Route, 7> kRoutes{{
    {"register_job", "POST", false,
     [](TrainingJobs& jobs, const Asked& asked) {
       answer_with(asked, jobs.register_job(read_body(asked.request.body, read_job)));
     }},
    {"register_rank", "POST", true,
     [](TrainingJobs& jobs, const Asked& asked) {
       jobs.register_rank(asked.job, read_body(asked.request.body, read_rank));
       answer_with(asked, nullptr);
     }},
    {"schedule", "GET", true,
     [](TrainingJobs& jobs, const Asked& asked) {
       const auto rank = query_number(asked.request.query, "rank");
       if (!rank) {
         throw Refusal{400, "rank is missing; add ?rank=N"};
       }
       jobs.ask(asked.job, *rank, query_number(asked.request.query, "round"), asked.caller);
     }},
    {"result", "POST", true,
     [](TrainingJobs& jobs, const Asked& asked) {
       jobs.report(asked.job, read_body(asked.request.body, read_report));
       answer_with(asked, nullptr);
     }},
    {"straggler", "POST", true,
     [](TrainingJobs& jobs, const Asked& asked) {
       const auto [rank, ratio] = read_body(asked.request.body, read_straggler);
       answer_with(asked, state_json(jobs.set_slowdown(asked.job, rank, ratio)));
     }},
    {"power_cap", "POST", true,
     [](TrainingJobs& jobs, const Asked& asked) {
       const auto cap = read_body(asked.request.body, read_cap);
       answer_with(asked, state_json(jobs.set_power_cap(asked.job, cap)));
     }},
    {"info", "GET", false,
     [](TrainingJobs& jobs, const Asked& asked) { answer_with(asked, info_json(jobs)); }},
}};

std::string route_names() {
  std::string names;
  for (const auto& route : kRoutes) {
    names += std::string{names.empty() ? "/" : ", /"} + std::string{route.name} +
             (route.has_job ? "/JOB" : "");
  }
  return names;
}

/// Throws Refusal for a path or method that is none.
const Route& route_of(const net::HttpRequest& request, const std::vector<std::string>& parts) {
  const auto route = std::find_if(kRoutes.begin(), kRoutes.end(), [&](const Route& known) {
    return known.name == parts.front() && parts.size() == (known.has_job ? 2U : 1U);
  });
  if (route == kRoutes.end()) {
    throw Refusal{
        404, "there is nothing at '" + printable(request.path) + "'; routes: " + route_names()};
  }
  if (route->method != request.method) {
    throw Refusal{405, "/" + std::string{route->name} + " takes " + std::string{route->method} +
                           ", not " + printable(request.method)};
  }
  return *route;
}

}  // namespace

void TrainingRoutes::handle(const net::HttpRequest& request, const Caller& caller) {
  try {
    const auto parts =
        split(std::string_view{request.path}.substr(request.path.starts_with('/')), '/');
    const auto& route = route_of(request, parts);
    route.answer(jobs_,
                 {request, route.has_job ? net::percent_decoded(parts[1]) : std::string{}, caller});
  } catch (const Refusal& refusal) {
    caller.deliver({refusal.status(), net::detail_json(refusal.what())}, {});
  } catch (const Error& error) {  // the state could not be written
    caller.deliver({503, net::detail_json(error.what())}, {});
  }
}

}  // namespace perwatt::serve
