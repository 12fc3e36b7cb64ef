#include "measure_runs.hpp"

#include <csignal>

#include "descriptors.hpp"
#include "json_values.hpp"

#include "perwatt/base/file.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/device/power_csv.hpp"
#include "perwatt/measure/measurement_file.hpp"

namespace perwatt::cli {

namespace {

std::atomic<bool> stop_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void request_stop(int /*signal*/) {
  stop_requested = true;
}

}  // namespace

const std::atomic<bool>& stop_flag() {
  return stop_requested;
}

void begin_live() {
  allow_many_descriptors();

  struct sigaction action {};

  action.sa_handler = request_stop;
  sigemptyset(&action.sa_mask);
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

RunStore::RunStore(std::string folder, bool has_many)
    : folder_{std::move(folder)}, has_many_{has_many} {
  for (const char* earlier : {kMeasurementFile, "run-1"}) {
    std::error_code ignored;  // write_file says what is wrong with the folder
    if (!folder_.empty() &&
        std::filesystem::exists(std::filesystem::path{folder_} / earlier, ignored)) {
      throw Error{
          ErrorCode::usage,
          "'" + printable(folder_) + "' holds the " + earlier + " of an earlier measurement",
          "--output", "name a new folder"};
    }
  }
}

std::function<void(double)> RunStore::progress() {
  return [this](double share) {
    if (!bar_) {
      bar_.emplace(has_many_ ? "run " + std::to_string(measurements_.size() + 1) : "measuring");
    }
    bar_->update(share);
  };
}

measure::RunWatch RunStore::watch() {
  return {progress(), [this](measure::RunResult& run) { add(run); }};
}

void RunStore::write(const measure::RunResult& result) const {
  std::filesystem::path folder{folder_};
  if (has_many_) {
    folder /= "run-" + std::to_string(measurements_.size() + 1);
  }
  std::error_code ignored;  // write_file says what is wrong with the folder
  std::filesystem::create_directories(folder, ignored);
  write_file(folder / kMeasurementFile, measure::format_measurement(result.measurement));
  write_file(folder / kRequestsFile, measure::format_requests(result.load.records, result.clock));
  if (!result.traces.empty()) {
    write_file(folder / "power.csv", device::format_power_csv(result.traces, result.clock));
  }
}

void RunStore::add(measure::RunResult& result) {
  bar_.reset();
  if (!folder_.empty()) {
    try {
      write(result);
    } catch (const Error& error) {
      result.measurement.end = measure::RunEnd::output_failed;
      result.measurement.reasons.push_back(std::string{"output_failed: "} + error.what());
      write_problem_ = error;
    }
  }
  measurements_.push_back(result.measurement);
  if (!folder_.empty()) {
    reported_.push_back(
        {result.measurement, result.load.records, result.traces, result.load.window});
  }
}

void RunStore::write_report(const std::optional<report::MeasuredComparison>& comparison) {
  if (folder_.empty() || reported_.empty() || write_problem_) {
    return;
  }
  const report::MeasurementReport document{std::move(reported_), comparison, PERWATT_VERSION};
  const std::filesystem::path folder{folder_};
  try {
    write_file(folder / "report.html", report::measurement_html(document));
    write_file(folder / "report.md", report::measurement_markdown(document));
  } catch (const Error& error) {
    write_problem_ = error;
  }
}

void RunStore::throw_if_failed() const {
  if (write_problem_) {
    throw Error{*write_problem_};
  }
  const bool was_interrupted =
      !measurements_.empty() && measurements_.back().end == measure::RunEnd::interrupted;
  for (const auto& m : measurements_) {
    if (m.requests.ok > 0 && m.end != measure::RunEnd::server_lost) {
      return;
    }
  }
  if (was_interrupted || measurements_.empty()) {
    return;
  }
  const auto& last = measurements_.back();
  const std::string reason = last.reasons.empty() ? "no request succeeded" : last.reasons.front();
  const bool was_refused = reason.find("status 401") != std::string::npos ||
                           reason.find("status 403") != std::string::npos;
  throw Error{ErrorCode::peer_failed, reason, last.url,
              was_refused ? "put the key into the environment and name it with --api-key-env"
                          : "the result above is partial"};
}

std::string runs_json(const std::vector<measure::Measurement>& runs, const std::string& more_json) {
  if (runs.size() == 1 && more_json.empty()) {
    return measure::format_measurement(runs.front());
  }
  Json json{{"schema_version", measure::kSchemaVersion}};
  if (runs.empty() && stop_flag()) {
    json["end"] = "interrupted";  // before the first run was over
  }
  if (!more_json.empty()) {
    json.update(Json::parse(more_json));
  }
  json["runs"] = Json::array();
  for (const auto& run : runs) {
    json["runs"].push_back(Json::parse(measure::format_measurement(run)));
  }
  return json.dump(2) + "\n";
}

}  // namespace perwatt::cli
