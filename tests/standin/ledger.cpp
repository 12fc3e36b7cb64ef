#include "ledger.hpp"

#include <algorithm>
#include <cmath>

#include "settings.hpp"
#include <nlohmann/json.hpp>

namespace standin {

Ledger::Ledger(Loop& loop, EnergyModel model) : loop_(loop), model_(model), started_(now()) {
  total_.at = started_;
  history_.push_back(total_);
}

void Ledger::start() {
  loop_.at(started_ + kHistoryStep, weak_from_this(), 0);
}

void Ledger::advance() {
  const Nanos present = now();
  const double passed = seconds_of(present - total_.at);
  const double batch =
      batch_ > 0 ? model_.batch_watts * std::pow(batch_, model_.batch_exponent) : 0;
  total_.joules += passed * (model_.gpus * model_.idle_watts + batch);
  total_.host_joules += passed * model_.host_watts;
  total_.at = present;
}

void Ledger::add_prompt(std::uint64_t prompt_tokens, std::uint64_t cached_tokens) {
  total_.prompt_tokens += prompt_tokens;
  total_.cached_tokens += cached_tokens;
  total_.joules +=
      model_.joules_per_prompt_token * static_cast<double>(prompt_tokens - cached_tokens);
}

void Ledger::add_output(std::uint64_t tokens) {
  total_.output_tokens += tokens;
  total_.joules += model_.joules_per_output_token * static_cast<double>(tokens);
}

void Ledger::set_batch(int batch) {
  advance();
  batch_ = batch;
}

void Ledger::set_model(const EnergyModel& model) {
  advance();
  model_ = model;
}

Entry Ledger::present() {
  advance();
  return total_;
}

Entry Ledger::at(Nanos time) {
  const Entry last = present();
  if (time >= last.at) {
    return last;
  }
  if (time <= history_.front().at) {
    return history_.front();
  }
  const auto after = std::upper_bound(history_.begin(), history_.end(), time,
                                      [](Nanos t, const Entry& entry) { return t < entry.at; });
  const Entry& left = *(after - 1);
  const Entry& right = after == history_.end() ? last : *after;
  const double part = static_cast<double>(time - left.at) / static_cast<double>(right.at - left.at);
  const auto between = [part](std::uint64_t a, std::uint64_t b) {
    return a + static_cast<std::uint64_t>(std::llround(part * static_cast<double>(b - a)));
  };
  Entry entry;
  entry.at = time;
  entry.joules = left.joules + part * (right.joules - left.joules);
  entry.host_joules = left.host_joules + part * (right.host_joules - left.host_joules);
  entry.prompt_tokens = between(left.prompt_tokens, right.prompt_tokens);
  entry.cached_tokens = between(left.cached_tokens, right.cached_tokens);
  entry.output_tokens = between(left.output_tokens, right.output_tokens);
  return entry;
}

double Ledger::watts(Nanos time, Nanos window) {
  const Entry end = at(time);
  const Entry begin = at(end.at - window);
  const double passed = seconds_of(end.at - begin.at);
  return passed > 0 ? (end.joules - begin.joules) / passed : model_.gpus * model_.idle_watts;
}

void Ledger::on_due(Nanos due, std::uint64_t /*ticket*/) {
  history_.push_back(present());
  loop_.at(std::max(due + kHistoryStep, total_.at), weak_from_this(), 0);
}

void apply_json(const nlohmann::json& json, EnergyModel& model) {
  Keys keys(json, "energy");
  keys.take("gpus", model.gpus);
  keys.take("idle_watts", model.idle_watts);
  keys.take("joules_per_prompt_token", model.joules_per_prompt_token);
  keys.take("joules_per_output_token", model.joules_per_output_token);
  keys.take("batch_watts", model.batch_watts);
  keys.take("batch_exponent", model.batch_exponent);
  keys.take("host_watts", model.host_watts);
  keys.finish();
}

nlohmann::json to_json(const Entry& entry, int gpus) {
  return {{"monotonic_seconds", seconds_of(entry.at)},
          {"gpu_joules", entry.joules},
          {"joules_per_gpu", entry.joules / gpus},
          {"node_joules", entry.joules + entry.host_joules},
          {"prompt_tokens", entry.prompt_tokens},
          {"cached_tokens", entry.cached_tokens},
          {"output_tokens", entry.output_tokens}};
}

}  // namespace standin
