// perwatt measure: a load on a live endpoint, its power meters beside it, joules per token out.
#include <csignal>
#include <cstdio>

#include "measure_options.hpp"
#include "measure_text.hpp"
#include "progress.hpp"
#include <fmt/format.h>

#include "perwatt/base/file.hpp"
#include "perwatt/measure/measurement_file.hpp"

namespace perwatt::cli {

namespace {

std::atomic<bool> stop_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void request_stop(int /*signal*/) {
  stop_requested = true;
}

/// Ctrl-C ends the run with a partial result, not the program.
void stop_on_signals() {
  struct sigaction action {};

  action.sa_handler = request_stop;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESETHAND;  // a second one ends the program
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

/// Writes what --output asks for. A failed write is told in the result, which is then printed all
/// the same, and ends the program afterwards.
std::optional<Error> write_results(const std::string& folder, measure::RunResult& result) {
  if (folder.empty()) {
    return std::nullopt;
  }
  const std::filesystem::path dir{folder};
  try {
    std::error_code problem;
    std::filesystem::create_directories(dir, problem);
    write_file(dir / "requests.jsonl", measure::format_requests(result.load.records, result.clock));
    write_file(dir / "measurement.json", measure::format_measurement(result.measurement));
  } catch (const Error& error) {
    result.measurement.end = measure::RunEnd::output_failed;
    result.measurement.reasons.push_back(std::string{"output_failed: "} + error.what());
    return error;
  }
  return std::nullopt;
}

void throw_if_server_failed(const measure::Measurement& m) {
  if (m.end == measure::RunEnd::server_lost ||
      (m.requests.sent > 0 && m.requests.ok == 0 && m.end != measure::RunEnd::interrupted)) {
    throw Error{ErrorCode::peer_failed,
                m.reasons.empty() ? "no request succeeded" : m.reasons.front(), m.url,
                "the result above is partial"};
  }
}

void run_measure(const MeasureOptions& options) {
  FacilityParts facility;
  const auto spec = measure_spec(options, facility);
  stop_on_signals();
  measure::Session session{spec, stop_requested};
  std::vector<measure::Measurement> all;
  std::optional<Error> write_problem;
  for (int i = 0; i < options.runs && !stop_requested; ++i) {
    ProgressBar bar{"measuring"};
    auto result = session.run({}, [&](double share) { bar.update(share); });
    const auto folder = options.output_dir.empty() || options.runs == 1
                            ? options.output_dir
                            : options.output_dir + "/run-" + std::to_string(i + 1);
    write_problem = write_results(folder, result);
    all.push_back(std::move(result.measurement));
  }
  for (const auto& m : all) {
    fmt::print("{}", options.json ? measure::format_measurement(m) : measurement_text(m));
  }
  if (all.size() > 1 && !options.json) {
    fmt::print("\n{}", runs_text(all));
  }
  if (write_problem) {
    throw Error{*write_problem};
  }
  throw_if_server_failed(all.back());
}

}  // namespace

void add_measure_verb(CLI::App& app) {
  auto options = std::make_shared<MeasureOptions>();
  auto* verb = app.add_subcommand(
      "measure", "Joules per token and goodput of a live OpenAI-compatible endpoint");
  verb->add_option("URL", options->url, "The server's root, or its /v1")->required();
  add_measure_options(*verb, *options);
  verb->footer(
      "On a live server (a request of --isl 512 tokens by default):\n"
      "  perwatt measure http://127.0.0.1:8000 --concurrency 16 --duration 60s --power nvml\n"
      "  perwatt measure http://127.0.0.1:8000 --request-rate 10 --isl 1024 --osl 128 --goodput "
      "\"ttft:200ms tpot:50ms\" --power dcgm:http://127.0.0.1:9400/metrics --idle 10s");
  add_catalog_option(*verb, options->data);
  verb->callback([options] { run_measure(*options); });
}

}  // namespace perwatt::cli
