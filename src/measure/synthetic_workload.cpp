// Conversations of synthetic prompts.
#include <cmath>
#include <map>

#include "length_draw.hpp"

#include "perwatt/base/json_node.hpp"
#include "perwatt/base/random.hpp"

namespace perwatt::measure {

namespace {

class SyntheticWorkload final : public Workload {
 public:
  SyntheticWorkload(RequestShape shape, SyntheticSpec spec)
      : shape_{std::move(shape)}, spec_{std::move(spec)}, random_{spec_.seed} {}

  std::optional<PlannedRequest> next() override {
    const std::uint64_t session = next_session_++;
    PlannedRequest request;
    request.session = session;
    if (!spec_.tenants.empty()) {
      request.tenant = spec_.tenants[session % spec_.tenants.size()];
    }
    const std::string text = new_text();
    if (spec_.turns == 1) {
      request.body = request_body(shape_, prompt_json(shape_.endpoint, text), output_length());
      return request;
    }
    auto& history = histories_[session];
    history = Json::parse(prompt_json(EndpointKind::chat, text));
    finish_turn(history, request);
    return request;
  }

  std::optional<PlannedRequest> follow_up(const RequestRecord& record) override {
    const auto found = histories_.find(record.session);
    if (found == histories_.end()) {
      return std::nullopt;
    }
    const auto next_turn = record.turn + 1;
    if (record.outcome != RequestOutcome::ok ||
        next_turn == static_cast<std::uint32_t>(spec_.turns)) {
      histories_.erase(found);
      return std::nullopt;
    }
    found->second.push_back({{"role", "assistant"}, {"content", record.text}});
    found->second.push_back({{"role", "user"}, {"content", new_text()}});
    PlannedRequest request;
    request.session = record.session;
    request.turn = next_turn;
    request.tenant = record.tenant;
    finish_turn(found->second, request);
    return request;
  }

  [[nodiscard]] Seconds delay() const override { return spec_.turn_delay; }

 private:
  std::string new_text() {
    const auto words = shape_.scale.words_for(draw_length(spec_.input, random_));
    return synthetic_prompt(words, spec_.first_serial + serial_++, spec_.seed);
  }

  std::optional<std::int64_t> output_length() {
    if (!spec_.output) {
      return std::nullopt;
    }
    return draw_length(*spec_.output, random_);
  }

  void finish_turn(const Json& history, PlannedRequest& request) {
    request.wants_text = request.turn + 1 < static_cast<std::uint32_t>(spec_.turns);
    request.body = request_body(
        shape_, history.dump(-1, ' ', false, Json::error_handler_t::replace), output_length());
  }

  RequestShape shape_;
  SyntheticSpec spec_;
  std::mt19937_64 random_;
  std::uint64_t next_session_ = 0;
  std::uint64_t serial_ = 0;
  std::map<std::uint64_t, Json> histories_;
};

}  // namespace

std::int64_t draw_length(const LengthLaw& law, std::mt19937_64& random) {
  const auto mean = static_cast<double>(law.mean);
  double length = mean;
  if (law.stddev > 0) {
    length += law.stddev * standard_normal(random);
  } else if (law.low_ratio < law.high_ratio) {
    length *= law.low_ratio + (law.high_ratio - law.low_ratio) * uniform_unit(random);
  } else {
    length *= law.high_ratio;
  }
  return std::max<std::int64_t>(1, std::llround(length));
}

std::unique_ptr<Workload> synthetic_workload(const RequestShape& shape, const SyntheticSpec& spec) {
  return std::make_unique<SyntheticWorkload>(shape, spec);
}

}  // namespace perwatt::measure
