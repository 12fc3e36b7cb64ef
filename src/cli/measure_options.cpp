#include "measure_options.hpp"

#include <cstdlib>
#include <limits>

#include <nlohmann/json.hpp>

#include "perwatt/base/file.hpp"
#include "perwatt/base/parse_quantity.hpp"
#include "perwatt/base/text.hpp"
#include "perwatt/measure/slo.hpp"

namespace perwatt::cli {

namespace {

/// CLI11's own checks let "nan" through.
CLI::Validator finite(const char* wanted, bool (*is_fit)(double)) {
  return CLI::Validator{[wanted, is_fit](const std::string& text) {
                          const auto value = parse_number(text);
                          return value && is_fit(*value) ? std::string{}
                                                         : "'" + text + "' is no " + wanted;
                        },
                        "NUMBER"};
}

CLI::Validator number_from_0() {
  return finite("number from 0", [](double value) { return value >= 0; });
}

CLI::Validator number_above_0() {
  return finite("number above 0", [](double value) { return value > 0; });
}

constexpr double kShareOfWarmup = 0.1;  // of the duration, when no warm-up is named
constexpr Seconds kDefaultDuration = seconds(60);

[[noreturn]] void refuse(const std::string& what, const std::string& flag,
                         const std::string& remedy) {
  throw Error{ErrorCode::usage, what, flag, remedy};
}

Seconds time_of(const std::string& text, const char* flag) {
  return parse_flag([&] { return parse_seconds(text, flag); });
}

double rate_of(const std::string& text, const char* flag) {
  return parse_flag([&] { return parse_request_rate(text, flag); });
}

/// "linear:1:30s" or "exponential:0.5:1min": from that rate to --request-rate.
RateRamp ramp_of(const std::string& text) {
  const auto parts = split(text, ':');
  RateRamp ramp;
  const bool is_linear = parts.front() == "linear";
  if (parts.size() != 3 || (!is_linear && parts.front() != "exponential")) {
    refuse("'" + printable(text) + "' is no ramp", "--rate-ramp",
           "write linear:RATE:TIME or exponential:RATE:TIME, as linear:1:30s");
  }
  ramp.shape = is_linear ? RateRamp::Shape::linear : RateRamp::Shape::exponential;
  const auto rate = parse_number(parts[1]);
  if (!rate || *rate < 0) {
    refuse("'" + printable(parts[1]) + "' is no rate", "--rate-ramp", "write requests per second");
  }
  ramp.initial_rate_per_second = *rate;
  if (!is_linear && *rate == 0) {
    refuse("an exponential ramp cannot start at 0", "--rate-ramp", "give a rate above 0");
  }
  ramp.duration = time_of(parts[2], "--rate-ramp");
  if (ramp.duration <= Seconds{}) {
    refuse("a ramp of 0 is none", "--rate-ramp", "give its time, or leave it out");
  }
  return ramp;
}

ArrivalPlan arrivals_of(const MeasureOptions& options) {
  ArrivalPlan plan;
  if (options.request_rate.empty()) {
    plan.pattern = ArrivalPattern::closed_loop;
    return plan;
  }
  if (options.pattern == "constant") {
    plan.pattern = ArrivalPattern::constant;
  } else if (options.pattern == "poisson") {
    plan.pattern = options.burstiness == 1.0 ? ArrivalPattern::poisson : ArrivalPattern::gamma;
  } else if (options.pattern == "gamma") {
    plan.pattern = ArrivalPattern::gamma;
  } else {
    plan.pattern = ArrivalPattern::bursts;
  }
  plan.rate_per_second = rate_of(options.request_rate, "--request-rate");
  plan.burstiness = options.burstiness;
  plan.burst_size = options.burst_size;
  if (!options.rate_ramp.empty()) {
    plan.ramp = ramp_of(options.rate_ramp);
  }
  return plan;
}

std::pair<double, double> length_range_of(const std::string& text) {
  const auto parts = split(text, ':');
  const auto low = parts.size() == 2 ? parse_number(parts[0]) : std::nullopt;
  const auto high = parts.size() == 2 ? parse_number(parts[1]) : std::nullopt;
  if (!low || !high || *low <= 0 || *high < *low) {
    refuse("'" + printable(text) + "' is no range of ratios", "--length-range",
           "write LOW:HIGH with 0 < LOW <= HIGH, as 0.8:1.0");
  }
  return {*low, *high};
}

measure::WorkloadSpec workload_of(const MeasureOptions& options) {
  measure::WorkloadSpec workload;
  const auto [low, high] = length_range_of(options.length_range);
  if (options.osl > 0) {
    workload.output = measure::LengthLaw{options.osl, options.osl_stddev, low, high};
  }
  if (!options.prompts_file.empty() && !options.trace_file.empty()) {
    refuse("prompts come either from a file or from a trace", "--trace", "leave one of them out");
  }
  if (!options.prompts_file.empty()) {
    workload.kind = measure::WorkloadSpec::Kind::prompt_file;
    workload.file = options.prompts_file;
    return workload;
  }
  if (!options.trace_file.empty()) {
    workload.kind = measure::WorkloadSpec::Kind::trace;
    workload.file = options.trace_file;
    workload.trace_speed_ratio = options.trace_speed;
    if (!options.request_rate.empty()) {
      refuse("a trace has times of its own", "--request-rate",
             "leave it out, or scale the trace with --trace-speed");
    }
    return workload;
  }
  workload.synthetic.input = {options.isl, options.isl_stddev, low, high};
  workload.synthetic.output = workload.output;
  workload.synthetic.turns = options.turns;
  workload.synthetic.turn_delay = time_of(options.turn_delay, "--turn-delay");
  workload.synthetic.tenants = options.tenants;
  if (options.turns > 1 && options.endpoint_type != "chat") {
    refuse("conversations need the chat endpoint", "--turns", "leave out --endpoint-type");
  }
  return workload;
}

constexpr const char* kDefaultKeyVariable = "OPENAI_API_KEY";

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.rfind("127.", 0) == 0;
}

/// A variable that is named must be set. The default one is for servers that want a key: it does
/// not go out unencrypted to another machine, where nobody asked for it.
std::optional<std::string> api_key(const MeasureOptions& options, const net::Url& server) {
  const bool is_named = !options.api_key_env.empty();
  if (!is_named && !server.tls && !is_loopback(server.host)) {
    return std::nullopt;
  }
  const auto variable = is_named ? options.api_key_env : std::string{kDefaultKeyVariable};
  const char* key = std::getenv(variable.c_str());  // NOLINT(concurrency-mt-unsafe): one thread
  if (key == nullptr || *key == '\0') {
    if (is_named) {
      refuse("the environment has no variable '" + printable(variable) + "'", "--api-key-env",
             "set it to the key, or leave the flag out");
    }
    return std::nullopt;
  }
  const std::string text{key};
  if (text.find_first_of("\r\n") != std::string::npos) {
    refuse("the key in " + printable(variable) + " holds a line end", "--api-key-env",
           "set the variable to the key alone");
  }
  return text;
}

net::ClientOptions client_of(const MeasureOptions& options, const net::Url& server) {
  net::ClientOptions client;
  client.silence = time_of(options.timeout, "--timeout");
  if (client.silence <= Seconds{}) {
    refuse("a silence of 0 would end every request", "--timeout", "give 600s");
  }
  client.verify_tls = !options.insecure;
  client.ca_file = options.ca_file;
  if (!options.ca_file.empty()) {
    (void)read_file(options.ca_file);  // says now what is wrong with it
  }
  if (const auto key = api_key(options, server)) {
    client.headers.push_back({"Authorization", "Bearer " + *key});
  }
  for (const auto& text : options.headers) {
    const auto colon = text.find(':');
    if (colon == std::string::npos || colon == 0) {
      refuse("a header has no name or no colon", "--header", "write 'Name: value'");
    }
    for (const char c : text) {
      if (c == '\r' || c == '\n' || c == '\0') {
        refuse("a header holds a line end", "--header", "write 'Name: value' on one line");
      }
    }
    client.headers.push_back(
        {text.substr(0, colon), std::string{trimmed(std::string_view{text}.substr(colon + 1))}});
  }
  return client;
}

measure::RequestShape shape_of(const MeasureOptions& options) {
  measure::RequestShape shape;
  shape.endpoint = options.endpoint_type == "chat" ? measure::EndpointKind::chat
                                                   : measure::EndpointKind::completions;
  shape.model = options.model;
  shape.ignore_eos = !options.no_ignore_eos;
  if (!options.extra_body.empty()) {
    const auto json = nlohmann::json::parse(options.extra_body, nullptr, false);
    if (!json.is_object()) {
      refuse("'" + printable(options.extra_body) + "' is no JSON object", "--extra-body",
             R"(write it as '{"temperature": 0}')");
    }
    shape.extra_body_json = options.extra_body;
  }
  return shape;
}

measure::PowerSpec power_of(const MeasureOptions& options) {
  measure::PowerSpec power;
  power.sources = options.power;
  power.options.sysfs_root = options.sysfs_root;
  power.options.verify_tls = !options.insecure;
  power.options.ca_file = options.ca_file;
  power.period = time_of(options.power_period, "--power-period");
  if (power.period <= Seconds{}) {
    refuse("a period of 0 would sample without end", "--power-period", "give 100ms or more");
  }
  power.idle = time_of(options.idle, "--idle");
  if (options.gpus > 0) {
    power.rules.expected_gpus = options.gpus;
  }
  return power;
}

std::optional<measure::FacilityModel> facility_of(const MeasureOptions& options,
                                                  FacilityParts& parts) {
  if (options.system.empty()) {
    return std::nullopt;
  }
  parts.catalog = load_catalog(options.data);
  const auto& system = parts.catalog->system(options.system, "--system");
  const auto& plant = parts.catalog->cooling_plant(system.cooling_plant, options.system);
  parts.chain.emplace(*parts.catalog, system);
  parts.plant.emplace(plant);
  return measure::FacilityModel{&*parts.chain, &*parts.plant, std::nullopt};
}

}  // namespace

measure::Slo slo_of(const MeasureOptions& options) {
  return parse_flag([&] { return measure::parse_slo(options.goodput, "--goodput"); });
}

void add_measure_options(CLI::App& verb, MeasureOptions& o) {
  verb.add_option("--model,-m", o.model, "Model to ask for; the only one served by default");
  verb.add_option("--endpoint-type", o.endpoint_type, "API to use")
      ->check(CLI::IsMember({"chat", "completions"}))
      ->capture_default_str();
  verb.add_option("--label", o.label, "Your name for the run, kept in the result");
  auto* load = verb.add_option_group("Load");
  load->add_option("--request-rate", o.request_rate,
                   "Open loop: requests per second, sent whatever the server does; with "
                   "--concurrency as a cap");
  load->add_option("--arrival-pattern", o.pattern, "Law of the times between requests")
      ->check(CLI::IsMember({"constant", "poisson", "gamma", "burst"}))
      ->capture_default_str();
  load->add_option("--burstiness", o.burstiness,
                   "Shape of gamma arrivals: 1 is Poisson, less is burstier")
      ->check(number_above_0());
  load->add_option("--burst-size", o.burst_size, "Requests of one burst")
      ->check(CLI::PositiveNumber);
  load->add_option("--rate-ramp", o.rate_ramp,
                   "linear:RATE:TIME or exponential:RATE:TIME: start at RATE");
  load->add_option("--concurrency,--max-concurrency", o.concurrency,
                   "Closed loop without --request-rate: users with one request at a time")
      ->check(CLI::PositiveNumber);
  load->add_option("--concurrency-ramp", o.concurrency_ramp, "Time over which the users start");
  load->add_option("--request-count,--num-prompts", o.request_count, "Requests (sessions) to send")
      ->check(CLI::PositiveNumber);
  load->add_option("--duration,--benchmark-duration", o.duration,
                   "Length of the measured window; 60s without --request-count");
  load->add_option("--warmup", o.warmup,
                   "Load before the window; a tenth of --duration by default");
  load->add_option("--drain", o.drain, "How long requests under way may go on after the window")
      ->capture_default_str();
  load->add_option("--seed,--random-seed", o.seed,
                   "Of arrivals and lengths; texts are new in every process")
      ->check(CLI::Range(std::int64_t{0}, std::numeric_limits<std::int64_t>::max()))
      ->capture_default_str();
  auto* prompts = verb.add_option_group("Prompts");
  prompts->add_option("--isl,--random-input-len", o.isl, "Input tokens of synthetic prompts")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  prompts->add_option("--isl-stddev", o.isl_stddev, "Spread of the input lengths")
      ->check(number_from_0());
  prompts
      ->add_option("--osl,--random-output-len", o.osl,
                   "Output tokens to ask for; as the model likes by default")
      ->check(CLI::Range(1, 10'000'000));
  prompts->add_option("--osl-stddev", o.osl_stddev, "Spread of the output lengths")
      ->check(number_from_0());
  prompts->add_option("--length-range", o.length_range,
                      "Lengths uniform between these ratios of --isl and --osl (InferenceX: "
                      "0.8:1.0)");
  prompts->add_option("--turns", o.turns, "Requests of one conversation")
      ->check(CLI::Range(1, 1000));
  prompts->add_option("--turn-delay", o.turn_delay, "Time between an answer and the next turn");
  prompts->add_option("--prompts,--input-file", o.prompts_file, "JSON Lines of prompts")
      ->type_name("FILE.jsonl");
  prompts->add_option("--trace", o.trace_file, "Replay arrivals and lengths: Azure CSV or Mooncake")
      ->type_name("FILE");
  prompts->add_option("--trace-speed", o.trace_speed, "Divide the trace's times by this")
      ->check(number_above_0());
  prompts->add_flag("--no-ignore-eos", o.no_ignore_eos, "Let answers end before --osl");
  prompts->add_option("--extra-body", o.extra_body, "JSON object merged into every request");
  prompts->add_option("--tenant", o.tenants, "Tenants that sessions belong to in turn; repeatable");
  auto* connection = verb.add_option_group("Connection");
  connection->add_option("--api-key-env", o.api_key_env,
                         "Environment variable with the key; OPENAI_API_KEY by default, except "
                         "over plain http to another machine");
  connection->add_option("--header", o.headers, "'Name: value' to send; repeatable");
  connection->add_option("--ca-file", o.ca_file, "Certificates to trust")->type_name("FILE.pem");
  connection->add_flag("--insecure", o.insecure, "Do not verify TLS certificates");
  connection->add_option("--timeout", o.timeout, "Longest silence of an answer")
      ->capture_default_str();
  auto* power = verb.add_option_group("Power");
  power
      ->add_option("--power", o.power,
                   "Power source: dcgm:URL, amd:URL, gaudi:URL, prom:URL, nvml, rapl, hwmon, "
                   "redfish:URL, modbus:HOST, json:URL, csv:FILE; repeatable")
      ->type_name("SOURCE");
  power->add_option("--power-period", o.power_period, "Time between two samples")
      ->capture_default_str();
  power->add_option("--idle", o.idle, "Measure the idle power for so long before the load");
  power->add_option("--gpus", o.gpus, "GPUs behind the endpoint; fewer meters make power invalid")
      ->check(CLI::PositiveNumber);
  power->add_option("--sysfs-root", o.sysfs_root, "Where rapl and hwmon look")->type_name("DIR");
  power->add_option("--system", o.system,
                    "System of the catalog: models IT and facility energy from the GPUs'");
  auto* results = verb.add_option_group("Results");
  results->add_option("--goodput", o.goodput, "SLO, as \"ttft:200ms tpot:50ms\"");
  results
      ->add_option("--max-client-lag", o.most_client_lag,
                   "A run whose client was later (p99) is not valid")
      ->capture_default_str();
  results->add_flag("--chunk-times", o.chunk_times, "Keep every gap between chunks");
  results
      ->add_option("--output", o.output_dir,
                   "Folder for measurement.json, requests.jsonl, power.csv and report.html")
      ->type_name("DIR");
  results->add_option("--runs", o.runs, "Repeat, for an interval over runs")
      ->check(CLI::Range(1, 1000));
  results
      ->add_option("--scorer", o.scorer,
                   "Command that scores answers to --prompts with an expected text; exact match "
                   "by default")
      ->type_name("COMMAND");
  results->add_flag("--json", o.json, "Print JSON");
}

void add_experiment_options(CLI::App& verb, MeasureOptions& o) {
  auto* many = verb.add_option_group("Experiments of many runs");
  many->add_option("--compare", o.compare,
                   "Does B save energy against A? Two URLs (interleaved runs until a verdict), or "
                   "two results: files or --output folders")
      ->expected(2)
      ->type_name("A B");
  many->add_option("--power-a", o.power_a, "Power source of A alone; repeatable")
      ->type_name("SOURCE");
  many->add_option("--power-b", o.power_b, "Power source of B alone; repeatable")
      ->type_name("SOURCE");
  many->add_option("--smallest-effect", o.smallest_effect,
                   "A saving below this share is of no interest: 0.02")
      ->check(CLI::Range(0.0, 0.99));
  many->add_option("--meter-gain", o.meter_gain,
                   "How much the meters of A and B may differ: 0.01; widens the interval")
      ->check(CLI::Range(0.0, 0.99));
  many->add_option("--quality-margin", o.quality_margin,
                   "Mean score that B may lose at most to count as a saving")
      ->check(CLI::Range(0.0, 1.0));
  many->add_option("--max-pairs", o.most_pairs, "Pairs of runs at most")
      ->check(CLI::Range(2, 1000))
      ->capture_default_str();
  many->add_option("--sweep", o.sweep,
                   "Loads to measure: concurrency:1,2,4,8, rate:1..64 (doubling) or "
                   "rate:1..64:10 (ten, geometric)")
      ->type_name("LOADS");
  many->add_option("--find-load", o.find_load,
                   "Highest load that keeps --goodput: concurrency:1..512 or rate:0.5..100")
      ->type_name("RANGE");
  many->add_option("--attainment", o.attainment, "Share of requests that must meet the SLO")
      ->check(CLI::Range(0.01, 0.9999))
      ->capture_default_str();
  many->add_option("--power-caps", o.power_caps,
                   "Caps to measure --sweep under, as 300W,400W; needs --allow-power-control");
  many->add_flag(
      "--allow-power-control", o.allow_power_control,
      "Let this run lower the GPUs' power caps (NVML); they are put back however it ends");
  many->add_flag("--phase-split", o.phase_split,
                 "Joules per input and per output token, from runs of four lengths at one "
                 "concurrency");
}

void add_table_options(CLI::App& verb, MeasureOptions& o) {
  auto* table = verb.add_option_group("Other tools' results, and the table of points");
  table
      ->add_option("--rescore", o.rescore,
                   "Read results of AIPerf, vLLM bench serve or InferenceX instead of measuring, "
                   "and score them against --goodput; repeatable")
      ->type_name("FILE");
  table
      ->add_option("--append-points", o.append_points,
                   "Add the runs to a table of measured points for plan and frontier (--points); "
                   "needs --accelerator, --precision, --engine and --gpus")
      ->type_name("FILE.csv");
  table->add_option("--accelerator", o.accelerator, "Accelerator of the catalog");
  table->add_option("--precision", o.precision, "Of the weights: bf16, fp8, fp4, mxfp4");
  table->add_option("--engine", o.engine, "Serving engine: vllm, sglang, trt, …");
  table->add_option("--spec-decode", o.spec_decode, "Speculative decoding method")
      ->capture_default_str();
  table->add_option("--tp", o.tensor_parallel, "Tensor parallelism")->check(CLI::PositiveNumber);
}

measure::MeasureSpec measure_spec(const MeasureOptions& options, FacilityParts& facility) {
  measure::MeasureSpec spec;
  spec.endpoint = measure::parse_endpoint(options.url, "URL");
  spec.client = client_of(options, spec.endpoint.server);
  spec.shape = shape_of(options);
  spec.workload = workload_of(options);
  spec.arrivals = arrivals_of(options);
  if (options.concurrency > 0) {
    spec.concurrency = options.concurrency;
  }
  spec.concurrency_ramp = time_of(options.concurrency_ramp, "--concurrency-ramp");
  if (options.request_count > 0) {
    spec.request_count = options.request_count;
  }
  const bool is_finite_set =
      spec.workload.kind != measure::WorkloadSpec::Kind::synthetic && options.duration.empty();
  if (!options.duration.empty()) {
    spec.duration = time_of(options.duration, "--duration");
    if (*spec.duration <= Seconds{}) {
      refuse("a window of 0 measures nothing", "--duration", "give 60s");
    }
  } else if (!spec.request_count && !is_finite_set) {
    spec.duration = kDefaultDuration;
  }
  spec.warmup = options.warmup.empty() ? kShareOfWarmup * spec.duration.value_or(Seconds{})
                                       : time_of(options.warmup, "--warmup");
  spec.drain = time_of(options.drain, "--drain");
  spec.keep_gaps = options.chunk_times;
  spec.slo = slo_of(options);
  spec.bounds.lag_p99 = time_of(options.most_client_lag, "--max-client-lag");
  spec.bounds.schedule_error_p99 = spec.bounds.lag_p99;
  spec.power = power_of(options);
  spec.facility = facility_of(options, facility);
  spec.label = options.label;
  spec.scorer = options.scorer;
  spec.seed = options.seed;
  return spec;
}

}  // namespace perwatt::cli
