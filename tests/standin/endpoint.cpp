// standin_endpoint: a server that speaks like an OpenAI-compatible one, and an exporter whose
// energy is an exact function of the tokens it served. tests/standin/README.md has the whole.
//
// Prints one line of JSON with its ports, then serves until SIGTERM or SIGINT.
#include <csignal>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>

#include "connection.hpp"
#include "events.hpp"
#include "exporter.hpp"
#include "ledger.hpp"
#include "loop.hpp"
#include "service.hpp"
#include "settings.hpp"
#include <nlohmann/json.hpp>
#include <sys/prctl.h>
#include <sys/resource.h>

namespace standin {
namespace {

using nlohmann::json;

volatile bool stop_asked = false;

constexpr const char* kUsage =
    "usage: standin_endpoint [--port N] [--exporter-port N] [--tls-cert FILE --tls-key FILE]\n"
    "         [--model NAME] [--api-key KEY]... [--seed N] [--style vllm|llama|sglang|tgi]\n"
    "         [--ttft S] [--itl S] [--itl-per-request S] [--prefill-per-token S] [--jitter RATIO]\n"
    "         [--tokens-per-chunk N] [--slots N] [--context N] [--gpus N] [--idle-watts W]\n"
    "         [--joules-per-prompt-token J] [--joules-per-output-token J] [--batch-watts W]\n"
    "         [--host-watts W] [--flavour dcgm|amd|gaudi] [--fault JSON]... [--script "
    "JSON|@FILE]\n";

struct Options {
  std::uint16_t port = 0;
  std::uint16_t exporter_port = 0;
  std::string tls_cert;
  std::string tls_key;
  ServiceOptions service;
  Settings settings;
  EnergyModel energy;
  ExporterSettings exporter;
};

/// {"timing", "wire", "limits", "faults", "fault", "energy", "exporter"}, each optional.
void apply_script(const json& script, Settings& settings, EnergyModel& energy,
                  ExporterSettings& exporter) {
  json rest = script;
  if (!rest.is_object()) {
    throw std::invalid_argument("a script must be an object");
  }
  if (rest.contains("energy")) {
    apply_json(rest.at("energy"), energy);
    rest.erase("energy");
  }
  if (rest.contains("exporter")) {
    apply_json(rest.at("exporter"), exporter);
    rest.erase("exporter");
  }
  apply_json(rest, settings);
}

/// Where each flag's value goes in a script.
struct Flag {
  const char* name;
  const char* section;
  const char* key;
  bool text;
};

constexpr Flag kFlags[] = {
    {"--style", "wire", "style", true},
    {"--ttft", "timing", "ttft_seconds", false},
    {"--itl", "timing", "itl_seconds", false},
    {"--itl-per-request", "timing", "itl_seconds_per_request", false},
    {"--prefill-per-token", "timing", "prefill_seconds_per_token", false},
    {"--jitter", "timing", "jitter_ratio", false},
    {"--tokens-per-chunk", "timing", "tokens_per_chunk", false},
    {"--slots", "limits", "slots", false},
    {"--context", "limits", "context_tokens", false},
    {"--gpus", "energy", "gpus", false},
    {"--idle-watts", "energy", "idle_watts", false},
    {"--joules-per-prompt-token", "energy", "joules_per_prompt_token", false},
    {"--joules-per-output-token", "energy", "joules_per_output_token", false},
    {"--batch-watts", "energy", "batch_watts", false},
    {"--host-watts", "energy", "host_watts", false},
    {"--flavour", "exporter", "flavour", true},
};

json script_text(const std::string& value) {
  if (value.empty() || value.front() != '@') {
    return json::parse(value);
  }
  std::ifstream file(value.substr(1));
  std::stringstream text;
  text << file.rdbuf();
  return json::parse(text.str());
}

Options parse(int count, char** arguments) {
  Options options;
  json faults = json::array();
  for (int i = 1; i < count; i += 2) {
    const std::string flag = arguments[i];
    if (i + 1 == count) {
      throw std::invalid_argument(flag + " needs a value\n" + kUsage);
    }
    const std::string value = arguments[i + 1];
    json script = json::object();
    if (flag == "--port") {
      options.port = static_cast<std::uint16_t>(std::stoi(value));
    } else if (flag == "--exporter-port") {
      options.exporter_port = static_cast<std::uint16_t>(std::stoi(value));
    } else if (flag == "--tls-cert") {
      options.tls_cert = value;
    } else if (flag == "--tls-key") {
      options.tls_key = value;
    } else if (flag == "--model") {
      options.service.model = value;
    } else if (flag == "--api-key") {
      options.service.keys.push_back(value);
    } else if (flag == "--seed") {
      options.service.seed = std::stoull(value);
    } else if (flag == "--fault") {
      faults.push_back(json::parse(value));
      script["faults"] = faults;
    } else if (flag == "--script") {
      script = script_text(value);
    } else {
      const Flag* found = nullptr;
      for (const Flag& known : kFlags) {
        found = flag == known.name ? &known : found;
      }
      if (found == nullptr) {
        throw std::invalid_argument("no such flag: " + flag + "\n" + kUsage);
      }
      script[found->section][found->key] = found->text ? json(value) : json::parse(value);
    }
    apply_script(script, options.settings, options.energy, options.exporter);
  }
  return options;
}

SSL_CTX* tls_context(const Options& options) {
  if (options.tls_cert.empty()) {
    return nullptr;
  }
  SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate_chain_file(context, options.tls_cert.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, options.tls_key.c_str(), SSL_FILETYPE_PEM) != 1) {
    throw std::invalid_argument("cannot use " + options.tls_cert + " with " + options.tls_key);
  }
  return context;
}

/// /standin/... on either port, everything else to the port's own handler.
class Router final : public Handler {
 public:
  Router(Handler& own, Service& service, Exporter& exporter, Ledger& ledger)
      : own_(own), service_(service), exporter_(exporter), ledger_(ledger) {}

  void on_request(Connection& connection, Request request) override {
    if (request.path == "/standin/truth") {
      connection.respond(200, "application/json", dumped(service_.truth(request)));
    } else if (request.path == "/standin/requests") {
      connection.respond(200, "application/json", dumped(service_.records_json()));
    } else if (request.path == "/standin/forget-prefixes") {
      service_.forget_prefixes();
      connection.respond(200, "application/json", "{}");
    } else if (request.path == "/standin/script") {
      run_script(connection, request);
    } else {
      own_.on_request(connection, std::move(request));
    }
  }

 private:
  void run_script(Connection& connection, const Request& request) {
    // Copies first: a script with a mistake changes nothing.
    Settings settings = service_.settings();
    EnergyModel energy = ledger_.model();
    ExporterSettings exporter = exporter_.settings();
    try {
      apply_script(json::parse(request.body), settings, energy, exporter);
    } catch (const std::exception& problem) {
      connection.respond(400, "application/json", dumped(json{{"error", problem.what()}}));
      return;
    }
    service_.set_settings(settings);
    ledger_.set_model(energy);
    connection.respond(200, "application/json", "{}");
    exporter_.set(exporter);
  }

  Handler& own_;
  Service& service_;
  Exporter& exporter_;
  Ledger& ledger_;
};

int serve(const Options& options) {
  Loop loop;
  const auto ledger = std::make_shared<Ledger>(loop, options.energy);
  ledger->start();
  Service service(loop, *ledger, options.service, options.settings);
  const auto exporter =
      std::make_shared<Exporter>(loop, *ledger, options.exporter, options.service.seed);
  Router api(service, service, *exporter, *ledger);
  Router telemetry(*exporter, service, *exporter, *ledger);
  SSL_CTX* const tls = tls_context(options);
  Listener api_listener(loop, api, options.port, tls);
  Listener exporter_listener(loop, telemetry, options.exporter_port, nullptr);
  exporter->set_listener(&exporter_listener);
  exporter->set(options.exporter);
  const std::string scheme = tls == nullptr ? "http" : "https";
  std::cout << json{{"url", scheme + "://127.0.0.1:" + std::to_string(api_listener.port())},
                    {"port", api_listener.port()},
                    {"exporter_url",
                     "http://127.0.0.1:" + std::to_string(exporter_listener.port())},
                    {"exporter_port", exporter_listener.port()},
                    {"model", options.service.model}}
                   .dump()
            << std::endl;
  loop.run(stop_asked);
  SSL_CTX_free(tls);
  return 0;
}

}  // namespace
}  // namespace standin

int main(int count, char** arguments) {
  struct sigaction action {};

  action.sa_handler = [](int) { standin::stop_asked = true; };
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_TIMERSLACK, 1UL);  // the default of 50 us would be late for every token
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  setrlimit(RLIMIT_NOFILE, &descriptors);
  try {
    return standin::serve(standin::parse(count, arguments));
  } catch (const std::exception& problem) {
    std::cerr << "standin_endpoint: " << problem.what() << '\n';
    return 2;
  }
}
