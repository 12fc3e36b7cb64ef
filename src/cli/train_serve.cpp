// perwatt train serve: frequency plans for running jobs, over the routes of zeus's pipeline
// frequency optimizer.
#include <cstdio>

#include "descriptors.hpp"
#include "listen_options.hpp"
#include "train_question.hpp"
#include "verbs.hpp"
#include <fmt/format.h>

#include "perwatt/base/error.hpp"
#include "perwatt/base/instant.hpp"
#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/serve/pipelines_file.hpp"
#include "perwatt/serve/training_routes.hpp"

namespace perwatt::cli {

namespace {

constexpr Seconds kLeastIdle = seconds(60);

/// Connections that waiting ranks leave to others.
constexpr std::size_t kSpareConnections = 64;

struct ServeOptions {
  std::string pipelines;
  std::string listen = "127.0.0.1:7787";
  std::string state = "perwatt-train.sqlite";
  std::string token_file;
  net::HttpServerOptions server;
  serve::JobLimits limits;
  std::string forget_after;
  std::string most_body = "4MiB";
};

/// "512KiB", "4MiB".
std::size_t read_bytes(const std::string& text, const char* flag) {
  const auto unit = text.find_first_not_of("0123456789");
  const auto number = parse_integer(std::string_view{text}.substr(0, unit));
  const auto name = unit == std::string::npos ? "" : text.substr(unit);
  const int shift = name == "KiB" ? 10 : name == "MiB" ? 20 : 0;
  if (!number || *number < 1 || *number > 1 << 20 || shift == 0) {
    throw Error{ErrorCode::usage, "'" + printable(text) + "' is no size", flag,
                "write it with its unit, as 512KiB or 4MiB"};
  }
  return static_cast<std::size_t>(*number) << shift;
}

void run_serve(ServeOptions& options) {
  read_listen(options.listen, "7787", options.server);
  read_token(options.token_file, options.server);
  if (!options.forget_after.empty()) {
    options.limits.idle =
        parse_flag([&] { return parse_seconds(options.forget_after, "--forget-after"); });
    if (options.limits.idle < kLeastIdle) {
      throw Error{ErrorCode::usage, "'" + options.forget_after + "' is too short", "--forget-after",
                  "give at least 1min"};
    }
  }
  allow_many_descriptors();
  options.server.most_body_bytes = read_bytes(options.most_body, "--max-body");
  options.limits.waiting = static_cast<int>(options.server.most_connections - kSpareConnections);
  serve::TrainingJobs jobs{serve::read_pipelines(options.pipelines), options.state, options.limits,
                           [] { return WallClock::now().unix_time(Instant::now()); }};
  serve::TrainingRoutes routes{jobs};
  net::HttpServer server{
      options.server, [&](const net::HttpRequest& request, const net::HttpReply& reply) {
        routes.handle(request, {[reply](net::HttpAnswer answer, net::HttpReply::Done done) {
                                  reply.send(std::move(answer), std::move(done));
                                },
                                [reply] { return reply.is_open(); }});
      }};
  fmt::print("Listening on {}: {} pipelines, {} jobs in {}\n", server.url(),
             jobs.pipelines().size(), jobs.states().size(), options.state);
  std::fflush(stdout);
  server.run(true);
  fmt::print("Stopped\n");
}

}  // namespace

void add_train_serve(CLI::App& train) {
  auto options = std::make_shared<ServeOptions>();
  auto* verb = train.add_subcommand(
      "serve", "Give running jobs their plans, as zeus's pipeline frequency optimizer does");
  verb->add_option("PIPELINES", options->pipelines, "The pipelines that jobs run")
      ->required()
      ->type_name("PIPELINES.toml");
  verb->add_option("--listen", options->listen, "Address and port")->capture_default_str();
  verb->add_option("--state", options->state, "Jobs are kept here, through restarts")
      ->type_name("FILE.sqlite")
      ->capture_default_str();
  add_caller_options(*verb, options->token_file, options->server);
  verb->add_option("--client-ca", options->server.client_ca_file,
                   "Callers must show a certificate of these roots")
      ->type_name("ROOTS.pem");
  verb->add_option("--max-jobs", options->limits.jobs, "Jobs at a time")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  verb->add_option("--max-connections", options->server.most_connections,
                   "Callers at a time: all ranks of a job wait at once, and 64 are kept for others")
      ->check(CLI::Range(65, 1'000'000))
      ->capture_default_str();
  verb->add_option("--max-body", options->most_body, "Of a request's body")->capture_default_str();
  verb->add_option("--forget-after", options->forget_after,
                   "Idle jobs may be forgotten after this time; 168h by default");
  verb->footer(
      "Without --token-file or --client-ca it listens on loopback addresses only. Routes and "
      "files:\n"
      "docs/reference/training-server.md.\n"
      "On a machine that the ranks reach:\n"
      "  perwatt train serve examples/training-pipelines.toml --listen 0.0.0.0:7787 --token-file "
      "token --certificate chain.pem --key key.pem");
  verb->callback([options, verb, &train] {
    refuse_flags_before(train, "serve");
    refuse_empty(*verb);
    run_serve(*options);
  });
}

}  // namespace perwatt::cli
