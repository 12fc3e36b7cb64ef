#include "service.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <utility>

#include "events.hpp"
#include "generation.hpp"
#include <nlohmann/json.hpp>
#include <sys/resource.h>

namespace standin {
namespace {

using nlohmann::json;

constexpr std::string_view kJson = "application/json";
constexpr std::array<const char*, 5> kOutcomes{"running", "completed", "faulted", "cancelled",
                                               "refused"};

/// The text of a message: a string, or the text parts of a list.
std::string text_of(const json& content) {
  if (content.is_string()) {
    return content.get<std::string>();
  }
  std::string text;
  if (content.is_array()) {
    for (const json& part : content) {
      if (part.value("type", "") == "text") {
        text += part.at("text").get<std::string>();
      }
    }
  }
  return text;
}

/// The prompt's tokens; `text` is the last part of it as text.
TokenIds prompt_of(const json& body, bool chat, std::string& text) {
  TokenIds ids;
  if (chat) {
    for (const json& message : body.at("messages")) {
      text = text_of(message.at("content"));
      tokenize_message(message.at("role").get<std::string>(), text, ids);
    }
    if (ids.empty()) {
      throw std::invalid_argument("messages must not be empty");
    }
  } else if (const json& prompt = body.at("prompt"); prompt.is_array()) {
    for (const json& id : prompt) {
      ids.push_back(id.get<std::uint32_t>());
    }
  } else {
    text = prompt.get<std::string>();
    tokenize(text, ids);
  }
  return ids;
}

std::string answer_in(const std::string& text) {
  constexpr std::string_view kKey = "answer=";
  const std::size_t begin = text.find(kKey);
  if (begin == std::string::npos) {
    return {};
  }
  const std::size_t end = text.find_first_of(" \n\t", begin);
  return text.substr(begin + kKey.size(),
                     end == std::string::npos ? end : end - begin - kKey.size());
}

std::uint64_t hash_of(const TokenIds& ids) {
  std::uint64_t hash = 14'695'981'039'346'656'037ULL;
  for (const std::uint32_t id : ids) {
    hash = (hash ^ id) * 1'099'511'628'211ULL;
  }
  return hash;
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

}  // namespace

void Durations::add(Nanos duration) {
  const auto value = static_cast<std::uint64_t>(std::max<Nanos>(duration, 8));
  const auto octave = static_cast<unsigned>(std::bit_width(value)) - 1;
  ++counts_[octave * 8 + ((value >> (octave - 3)) & 7)];
  ++total_;
}

double Durations::quantile_seconds(double share) const {
  const double target = share * static_cast<double>(total_);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen > 0 && static_cast<double>(seen) >= target) {
      const std::uint64_t base = std::uint64_t{1} << (i / 8);
      return static_cast<double>(base + base / 8 * (i % 8 + 1)) * 1e-9;
    }
  }
  return 0.0;
}

Service::Service(Loop& loop, Ledger& ledger, ServiceOptions options, Settings settings)
    : loop_(loop), ledger_(ledger), options_(std::move(options)), settings_(std::move(settings)) {}

void Service::on_request(Connection& connection, Request request) {
  const bool post = request.method == "POST";
  if (post && request.path == "/v1/chat/completions") {
    generate(connection, request, true);
  } else if (post && request.path == "/v1/completions") {
    generate(connection, request, false);
  } else if (post && request.path == "/tokenize") {
    answer_tokenize(connection, request);
  } else if (request.path == "/v1/models") {
    answer_models(connection);
  } else if (request.path == "/health") {
    connection.respond(200, kJson, R"({"status":"ok"})");
  } else {
    connection.respond(404, kJson,
                       error_json(settings_.wire.style, 404, "NotFoundError", "Not Found"));
  }
}

void Service::answer_models(Connection& connection) {
  json model{{"id", options_.model}, {"object", "model"}, {"created", 0}, {"owned_by", "standin"}};
  if (settings_.limits.context_tokens > 0) {
    model["max_model_len"] = settings_.limits.context_tokens;
  }
  connection.respond(200, kJson, json{{"object", "list"}, {"data", {model}}}.dump());
}

void Service::answer_tokenize(Connection& connection, const Request& request) {
  try {
    const json body = json::parse(request.body);
    TokenIds ids;
    std::string text;
    if (body.contains("content")) {
      tokenize(body.at("content").get<std::string>(), ids);
      connection.respond(200, kJson, json{{"tokens", ids}}.dump());
      return;
    }
    ids = prompt_of(body, body.contains("messages"), text);
    connection.respond(200, kJson,
                       json{{"count", ids.size()},
                            {"max_model_len", settings_.limits.context_tokens},
                            {"tokens", ids},
                            {"token_strs", nullptr}}
                           .dump());
  } catch (const std::exception& problem) {
    connection.respond(400, kJson,
                       error_json(settings_.wire.style, 400, "BadRequestError", problem.what()));
  }
}

std::string Service::refuse_key(const Request& request, Record& record) const {
  constexpr std::string_view kBearer = "Bearer ";
  const std::string_view given = request.header("authorization");
  if (given.substr(0, kBearer.size()) == kBearer) {
    record.key = given.substr(kBearer.size());
  }
  const bool known = options_.keys.empty() || std::find(options_.keys.begin(), options_.keys.end(),
                                                        record.key) != options_.keys.end();
  return known ? std::string()
               : error_json(settings_.wire.style, 401, "AuthenticationError", "Invalid API Key");
}

void Service::set_settings(Settings settings) {
  settings_ = std::move(settings);
  hits_.clear();
}

Fault Service::first_hit(const std::vector<Fault>& faults, std::uint64_t index,
                         std::vector<std::int64_t>* hits) const {
  if (hits != nullptr) {
    hits->resize(faults.size(), 0);
  }
  for (std::size_t i = 0; i < faults.size(); ++i) {
    const bool used_up = hits != nullptr && faults[i].most >= 0 && (*hits)[i] >= faults[i].most;
    if (!used_up && uniform(options_.seed + 2 + i, index, 0) < faults[i].share) {
      if (hits != nullptr) {
        ++(*hits)[i];
      }
      return faults[i];
    }
  }
  return {};
}

void Service::refuse(Connection& connection, std::size_t index, const Refusal& refusal) {
  Record& record = records_[index];
  record.outcome = Outcome::refused;
  record.status = refusal.status;
  record.ended = now();
  connection.respond(refusal.status, kJson, refusal.body, refusal.headers);
}

bool Service::read_request(const Request& request, bool chat, GenerationRequest& wanted,
                           std::optional<Settings>& own) {
  const json body = json::parse(request.body);
  bool own_faults = false;
  const auto take_own = [this, &own, &own_faults](const json& script) {
    if (!own) {
      own = settings_;
    }
    apply_json(script, *own);
    own_faults = own_faults || script.contains("fault") || script.contains("faults");
  };
  if (const std::string_view header = request.header("x-standin"); !header.empty()) {
    take_own(json::parse(header));
  }
  if (body.contains("standin")) {
    take_own(body.at("standin"));
  }
  std::string text;
  const TokenIds ids = prompt_of(body, chat, text);
  wanted.chat = chat;
  wanted.prompt_tokens = ids.size();
  wanted.answer = answer_in(text);
  wanted.model = body.at("model").get<std::string>();
  wanted.stream = body.value("stream", false);
  wanted.ignore_eos = body.value("ignore_eos", false);
  wanted.most_tokens = body.value("max_completion_tokens", body.value("max_tokens", 16));
  if (body.contains("stream_options") && body.at("stream_options").is_object()) {
    wanted.include_usage = body.at("stream_options").value("include_usage", false);
    wanted.continuous_usage = body.at("stream_options").value("continuous_usage_stats", false);
  }
  const bool greedy = body.value("temperature", 1.0) == 0.0;
  wanted.text_seed = hash_of(ids) + (greedy ? 0 : body.value("seed", wanted.index + 1));
  if (body.value("cache_prompt", true)) {
    wanted.cached_tokens = prefixes_.take(ids);
  }
  if (wanted.most_tokens < 1) {
    throw std::invalid_argument("max_tokens must be at least 1");
  }
  return own_faults;
}

std::optional<Service::Refusal> Service::refusal(const Settings& settings,
                                                 const GenerationRequest& wanted) const {
  const Fault& fault = wanted.fault;
  const Style style = settings.wire.style;
  if (settings.limits.strict_model && wanted.model != options_.model) {
    return Refusal{
        404,
        error_json(style, 404, "NotFoundError", "The model `" + wanted.model + "` does not exist."),
        ""};
  }
  const auto context = static_cast<std::uint64_t>(settings.limits.context_tokens);
  const bool told = fault.kind == FaultKind::exceed_context;
  if (told || (context > 0 &&
               wanted.prompt_tokens + static_cast<std::uint64_t>(wanted.most_tokens) > context)) {
    const bool llama = told || style == Style::llama;
    const std::string sizes = ",\"n_prompt_tokens\":" + std::to_string(wanted.prompt_tokens) +
                              ",\"n_ctx\":" + std::to_string(context);
    return Refusal{
        400,
        error_json(llama ? Style::llama : style, 400,
                   llama ? "exceed_context_size_error" : "BadRequestError",
                   "the request exceeds the available context size", llama ? sizes : std::string()),
        ""};
  }
  if (fault.kind == FaultKind::status) {
    const double wait = fault.retry_after_seconds;
    return Refusal{
        fault.status,
        error_json(style, fault.status, "ServiceError", "the stand-in was told to refuse"),
        wait >= 0 ? "Retry-After: " + std::to_string(static_cast<int>(wait)) + "\r\n" : ""};
  }
  return std::nullopt;
}

void Service::generate(Connection& connection, const Request& request, bool chat) {
  GenerationRequest wanted;
  wanted.index = records_.size();
  records_.emplace_back();
  records_.back().arrived = request.arrived;
  if (const std::string problem = refuse_key(request, records_.back()); !problem.empty()) {
    refuse(connection, wanted.index, {401, problem, ""});
    return;
  }
  std::optional<Settings> own;
  bool own_faults = false;
  try {
    own_faults = read_request(request, chat, wanted, own);
  } catch (const std::exception& problem) {
    refuse(connection, wanted.index,
           {400, error_json(settings_.wire.style, 400, "BadRequestError", problem.what()), ""});
    return;
  }
  const Settings& settings = own ? *own : settings_;
  wanted.timing = settings.timing;
  wanted.wire = settings.wire;
  wanted.slots = settings.limits.slots;
  wanted.fault = own_faults ? first_hit(settings.faults, wanted.index, nullptr)
                            : first_hit(settings_.faults, wanted.index, &hits_);
  if (!wanted.answer.empty() &&
      uniform(options_.seed + 1000, wanted.index, 0) >= settings.limits.correct_share) {
    wanted.answer = "not-" + wanted.answer;
  }
  if (const std::optional<Refusal> no = refusal(settings, wanted)) {
    refuse(connection, wanted.index, *no);
    return;
  }
  const auto generation = std::make_shared<Generation>(*this, connection, std::move(wanted));
  connection.set_exchange(generation);
  queue_.push_back(generation);
  admit_from_queue();
}

void Service::admit_from_queue() {
  while (!queue_.empty()) {
    const std::shared_ptr<Generation> next = queue_.front().lock();
    if (next != nullptr && !next->gone()) {
      if (next->slots() > 0 && running_ >= next->slots()) {
        return;
      }
      ++running_;
      most_running_ = std::max(most_running_, running_);
      ledger_.set_batch(running_);
      queue_.pop_front();
      next->admit();
    } else {
      queue_.pop_front();
    }
  }
}

void Service::release() {
  --running_;
  ledger_.set_batch(running_);
  admit_from_queue();
}

void Service::count_chunk(Nanos due, Nanos sent) {
  ++chunks_;
  late_.add(sent - due);
}

json Service::truth(const Request& request) {
  json counts{{"received", records_.size()}};
  std::map<std::string, Entry> per_key;
  std::map<std::string, int> requests_per_key;
  for (const char* name : kOutcomes) {
    counts[name] = 0;
  }
  std::uint64_t prompt_tokens = 0;
  std::uint64_t output_tokens = 0;
  for (const Record& record : records_) {
    json& count = counts[kOutcomes[static_cast<std::size_t>(record.outcome)]];
    count = count.get<int>() + 1;
    prompt_tokens += record.prompt_tokens;
    output_tokens += record.output_tokens;
    Entry& mine = per_key[record.key];
    mine.prompt_tokens += record.prompt_tokens;
    mine.output_tokens += record.output_tokens;
    ++requests_per_key[record.key];
  }
  json keys = json::object();
  for (const auto& [key, sum] : per_key) {
    keys[key] = {{"requests", requests_per_key[key]},
                 {"prompt_tokens", sum.prompt_tokens},
                 {"output_tokens", sum.output_tokens}};
  }
  const int gpus = ledger_.model().gpus;
  json truth{{"started_monotonic_seconds", seconds_of(ledger_.started())},
             {"gpus", gpus},
             {"present", to_json(ledger_.present(), gpus)},
             {"requests", counts},
             {"prompt_tokens", prompt_tokens},
             {"output_tokens", output_tokens},
             {"per_key", keys},
             {"running", running_},
             {"most_running", most_running_},
             {"queued", queue_.size()},
             {"chunks", chunks_},
             {"late_seconds",
              {{"p50", late_.quantile_seconds(0.5)},
               {"p99", late_.quantile_seconds(0.99)},
               {"max", late_.quantile_seconds(1.0)}}},
             {"cpu_seconds", cpu_seconds()}};
  const double to = request.number("to", -1.0);
  if (to >= 0) {
    const Entry begin = ledger_.at(nanos_of(request.number("from", 0.0)));
    const Entry end = ledger_.at(nanos_of(to));
    truth["window"] = {
        {"seconds", seconds_of(end.at - begin.at)},
        {"gpu_joules", end.joules - begin.joules},
        {"node_joules", end.joules + end.host_joules - begin.joules - begin.host_joules},
        {"prompt_tokens", end.prompt_tokens - begin.prompt_tokens},
        {"cached_tokens", end.cached_tokens - begin.cached_tokens},
        {"output_tokens", end.output_tokens - begin.output_tokens}};
  }
  return truth;
}

json Service::records_json() const {
  json list = json::array();
  const auto time = [](Nanos at) { return at == 0 ? json(nullptr) : json(seconds_of(at)); };
  for (const Record& record : records_) {
    list.push_back({{"arrived_monotonic_seconds", time(record.arrived)},
                    {"admitted_monotonic_seconds", time(record.admitted)},
                    {"first_monotonic_seconds", time(record.first)},
                    {"last_monotonic_seconds", time(record.last)},
                    {"ended_monotonic_seconds", time(record.ended)},
                    {"prompt_tokens", record.prompt_tokens},
                    {"cached_tokens", record.cached_tokens},
                    {"output_tokens", record.output_tokens},
                    {"outcome", kOutcomes[static_cast<std::size_t>(record.outcome)]},
                    {"status", record.status},
                    {"key", record.key}});
  }
  return list;
}

}  // namespace standin
