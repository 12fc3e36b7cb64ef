#include "settings.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include <nlohmann/json.hpp>

namespace standin {
namespace {

using nlohmann::json;

template <typename Value, std::size_t Size>
Value named(const std::array<std::pair<const char*, Value>, Size>& names, const std::string& text,
            const char* what) {
  const auto found = std::find_if(names.begin(), names.end(),
                                  [&text](const auto& entry) { return text == entry.first; });
  if (found == names.end()) {
    throw std::invalid_argument(std::string("no such ") + what + ": " + text);
  }
  return found->second;
}

constexpr std::array<std::pair<const char*, Style>, 4> kStyles{{{"vllm", Style::vllm},
                                                                {"llama", Style::llama},
                                                                {"sglang", Style::sglang},
                                                                {"tgi", Style::tgi}}};

constexpr std::array<std::pair<const char*, FaultKind>, 21> kFaults{{
    {"none", FaultKind::none},
    {"stall_head", FaultKind::stall_head},
    {"slow_head", FaultKind::slow_head},
    {"stall", FaultKind::stall},
    {"reset", FaultKind::reset},
    {"close", FaultKind::close},
    {"no_done", FaultKind::no_done},
    {"truncated_chunk", FaultKind::truncated_chunk},
    {"bad_chunk_size", FaultKind::bad_chunk_size},
    {"malformed_sse", FaultKind::malformed_sse},
    {"malformed_json", FaultKind::malformed_json},
    {"error_event", FaultKind::error_event},
    {"status", FaultKind::status},
    {"exceed_context", FaultKind::exceed_context},
    {"split", FaultKind::split},
    {"drip", FaultKind::drip},
    {"coalesce", FaultKind::coalesce},
    {"huge_event", FaultKind::huge_event},
    {"empty_content", FaultKind::empty_content},
    {"no_usage", FaultKind::no_usage},
    {"wrong_usage", FaultKind::wrong_usage},
}};

void apply_timing(const json& object, Timing& timing) {
  Keys keys(object, "timing");
  keys.take("ttft_seconds", timing.ttft_seconds);
  keys.take("prefill_seconds_per_token", timing.prefill_seconds_per_token);
  keys.take("itl_seconds", timing.itl_seconds);
  keys.take("itl_seconds_per_request", timing.itl_seconds_per_request);
  keys.take("tokens_per_chunk", timing.tokens_per_chunk);
  keys.take("jitter_ratio", timing.jitter_ratio);
  keys.take("stop_probability", timing.stop_probability);
  keys.finish();
  timing.tokens_per_chunk = std::max(1, timing.tokens_per_chunk);
}

void apply_wire(const json& object, Wire& wire) {
  Keys keys(object, "wire");
  std::string style;
  keys.take("style", style);
  if (!style.empty()) {
    wire.style = named(kStyles, style, "style");
    wire.role_first = wire.style != Style::tgi;
    wire.data_blank = wire.style != Style::tgi;
    wire.null_content = wire.style == Style::llama;
  }
  keys.take("crlf", wire.crlf);
  keys.take("data_blank", wire.data_blank);
  keys.take("role_first", wire.role_first);
  keys.take("role_early", wire.role_early);
  keys.take("null_content", wire.null_content);
  keys.take("comment_every", wire.comment_every);
  keys.take("reasoning_tokens", wire.reasoning_tokens);
  keys.take("reasoning_field", wire.reasoning_field);
  keys.take("usage_always", wire.usage_always);
  keys.take("done", wire.done);
  keys.take("stamp", wire.stamp);
  keys.finish();
}

Fault fault_of(const json& object) {
  Fault fault;
  Keys keys(object, "fault");
  std::string kind;
  keys.take("kind", kind);
  fault.kind = named(kFaults, kind, "fault");
  keys.take("share", fault.share);
  keys.take("most", fault.most);
  keys.take("after_tokens", fault.after_tokens);
  keys.take("seconds", fault.seconds);
  keys.take("bytes", fault.bytes);
  keys.take("tokens", fault.tokens);
  keys.take("status", fault.status);
  keys.take("retry_after_seconds", fault.retry_after_seconds);
  keys.finish();
  fault.bytes = std::max(1, fault.bytes);
  return fault;
}

void apply_limits(const json& object, Limits& limits) {
  Keys keys(object, "limits");
  keys.take("slots", limits.slots);
  keys.take("context_tokens", limits.context_tokens);
  keys.take("strict_model", limits.strict_model);
  keys.take("correct_share", limits.correct_share);
  keys.finish();
}

}  // namespace

double uniform(std::uint64_t seed, std::uint64_t index, std::uint64_t draw) {
  std::uint64_t x = seed * 0x9E3779B97F4A7C15ULL + index * 0xBF58476D1CE4E5B9ULL +
                    draw * 0x94D049BB133111EBULL + 0x2545F4914F6CDD1DULL;
  x ^= x >> 30;
  x *= 0xBF58476D1CE4E5B9ULL;
  x ^= x >> 27;
  x *= 0x94D049BB133111EBULL;
  x ^= x >> 31;
  return static_cast<double>(x >> 11) * 0x1.0p-53;
}

Keys::Keys(const json& object, std::string where) : object_(object), where_(std::move(where)) {
  if (!object_.is_object()) {
    throw std::invalid_argument(where_ + " must be an object");
  }
}

const json* Keys::find(const char* name) {
  const auto found = object_.find(name);
  if (found == object_.end()) {
    return nullptr;
  }
  ++taken_;
  return &*found;
}

template <typename Value>
void Keys::take(const char* name, Value& target) {
  if (const json* const value = find(name)) {
    try {
      target = value->get<Value>();
    } catch (const json::exception& problem) {
      throw std::invalid_argument(where_ + "." + name + ": " + problem.what());
    }
  }
}

template void Keys::take(const char*, double&);
template void Keys::take(const char*, int&);
template void Keys::take(const char*, std::int64_t&);
template void Keys::take(const char*, bool&);
template void Keys::take(const char*, std::string&);
template void Keys::take(const char*, std::vector<int>&);
template void Keys::take(const char*, json&);

void Keys::finish() const {
  if (taken_ != object_.size()) {
    throw std::invalid_argument("unknown name among those of " + where_ + ": " + object_.dump());
  }
}

void apply_json(const json& object, Settings& settings) {
  Keys keys(object, "settings");
  json timing;
  json wire;
  json limits;
  json faults;
  json fault;
  keys.take("timing", timing);
  keys.take("wire", wire);
  keys.take("limits", limits);
  keys.take("faults", faults);
  keys.take("fault", fault);
  keys.finish();
  if (!timing.is_null()) {
    apply_timing(timing, settings.timing);
  }
  if (!wire.is_null()) {
    apply_wire(wire, settings.wire);
  }
  if (!limits.is_null()) {
    apply_limits(limits, settings.limits);
  }
  if (!faults.is_null()) {
    settings.faults.clear();
    for (const json& one : faults) {
      settings.faults.push_back(fault_of(one));
    }
  }
  if (!fault.is_null()) {
    settings.faults = {fault_of(fault)};
  }
}

}  // namespace standin
