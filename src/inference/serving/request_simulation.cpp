#include "perwatt/inference/serving/request_simulation.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <functional>
#include <queue>
#include <random>
#include <utility>

#include "perwatt/base/random.hpp"

namespace perwatt::inference::serving {

namespace {

constexpr double kWarmUpShare = 0.1;  // of an open loop's requests, not counted

struct Request {
  double arrived = 0;  // seconds since the start, as all times here
  double prompt_tokens = 0;
  double output_tokens = 0;  // whole
  double first_token = 0;
  double finished = 0;
  bool is_finished = false;
};

double draw_length(const LengthLaw& law, double mean, std::mt19937_64& generator) {
  double factor = 1;
  if (law.kind == LengthLaw::Kind::uniform) {
    factor = 1 + law.spread * (2 * uniform_unit(generator) - 1);
  } else if (law.kind == LengthLaw::Kind::lognormal) {
    const double variance = std::log1p(law.spread * law.spread);
    factor = std::exp(std::sqrt(variance) * standard_normal(generator) - variance / 2);
  }
  return mean * factor;
}

/// A request on an instance, with what is left of its prompt; 0 where another pool computed it.
struct Waiting {
  std::size_t request;
  double prompt_left;
};

/// When a decoded sequence ends, on its instance's count of tokens per sequence.
struct Ending {
  double at_token;
  std::size_t request;

  bool operator>(const Ending& other) const {
    return std::pair{at_token, request} > std::pair{other.at_token, other.request};
  }
};

template <class T>
using EarliestFirst = std::priority_queue<T, std::vector<T>, std::greater<>>;

/// An instance that decodes. A run of equal steps without prefill is one block, cut short when
/// somebody arrives.
struct Decoder {
  std::deque<Waiting> waiting;
  EarliestFirst<Ending> running;
  std::vector<std::size_t> computed;  // prompts that end with the block under way
  double tokens = 0;                  // that a sequence running since the start would have got
  bool is_busy = false;
  bool has_prefill = false;  // in the block
  std::size_t decoding = 0;  // sequences of the block
  double block_start = 0;
  double step_seconds = 0;
  double steps = 0;         // of the block
  std::uint64_t block = 0;  // its number: ends of blocks that were cut short are stale

  [[nodiscard]] std::size_t load() const {
    return waiting.size() + running.size() + computed.size();
  }
};

/// An instance of a prefill pool.
struct Prefiller {
  std::vector<std::size_t> prompts;  // under way
};

struct Event {
  enum class Kind { arrival, prefilled, received, block_end };

  double at;
  std::uint64_t order;  // of equal times, the one that was set first
  Kind kind;
  std::size_t index;  // of the request, or of the instance
  std::uint64_t block = 0;

  bool operator>(const Event& other) const {
    return std::pair{at, order} > std::pair{other.at, other.order};
  }
};

class Simulation {
 public:
  Simulation(const Setup& setup, const ServingModel& model, const Traffic& traffic)
      : setup_{setup},
        model_{model},
        steps_{model.steps()},
        traffic_{traffic},
        has_pools_{setup.layout.mode == Serving::disaggregated},
        most_sequences_{static_cast<std::size_t>(model.most_sequences())},
        decoders_(static_cast<std::size_t>(setup.layout.decode.instances)),
        prefillers_(has_pools_ ? static_cast<std::size_t>(setup.layout.prefill.instances) : 0) {}

  TrafficResult run() {
    make_requests();
    while (!events_.empty()) {
      const Event event = events_.top();
      events_.pop();
      now_ = event.at;
      switch (event.kind) {
        case Event::Kind::arrival:
          arrive(event.index);
          break;
        case Event::Kind::prefilled:
          end_prefill(event.index);
          break;
        case Event::Kind::received:
          receive(event.index);
          break;
        case Event::Kind::block_end:
          if (decoders_[event.index].block == event.block) {
            end_block(event.index);
          }
          break;
      }
    }
    return result();
  }

 private:
  void schedule(double at, Event::Kind kind, std::size_t index, std::uint64_t block = 0) {
    events_.push({at, ++order_, kind, index, block});
  }

  void make_requests() {
    std::mt19937_64 generator{traffic_.arrivals.seed + 1};  // arrivals have their own
    ArrivalProcess process{traffic_.arrivals};
    while (const auto arrival = process.next()) {
      Request request;
      request.prompt_tokens = draw_length(traffic_.input, model_.work().prompt_tokens, generator);
      const double output = draw_length(traffic_.output, setup_.output_tokens, generator);
      request.output_tokens = std::max(1.0, std::round(output));
      if (arrival->offset) {
        schedule(in_seconds(*arrival->offset), Event::Kind::arrival, requests_.size());
      }
      requests_.push_back(request);
    }
    if (traffic_.arrivals.pattern == ArrivalPattern::closed_loop) {
      while (started_ < requests_.size() &&
             started_ < static_cast<std::size_t>(traffic_.concurrency)) {
        schedule(0, Event::Kind::arrival, started_++);
      }
    }
  }

  void arrive(std::size_t index) {
    requests_[index].arrived = now_;
    if (has_pools_) {
      prompts_.push_back(index);
      start_prefills();
    } else {
      give(index, requests_[index].prompt_tokens);
    }
  }

  // ---- prefill pool ---------------------------------------------------------------------------

  void start_prefills() {
    for (std::size_t i = 0; i < prefillers_.size() && !prompts_.empty(); ++i) {
      auto& under_way = prefillers_[i].prompts;
      if (!under_way.empty()) {
        continue;
      }
      double tokens = 0;
      while (!prompts_.empty() &&
             (under_way.empty() ||
              tokens + requests_[prompts_.front()].prompt_tokens <= kPrefillChunkTokens)) {
        tokens += requests_[prompts_.front()].prompt_tokens;
        under_way.push_back(prompts_.front());
        prompts_.pop_front();
      }
      const double chunks = std::max(1.0, tokens / kPrefillChunkTokens);
      const double seconds = tokens * own_seconds_per_token() + chunks * shared_seconds_per_chunk();
      schedule(now_ + seconds, Event::Kind::prefilled, i);
    }
  }

  void end_prefill(std::size_t prefiller) {
    for (const std::size_t index : prefillers_[prefiller].prompts) {
      const double transfer = steps_.prefill().pipeline_fill + model_.work().kv_transfer_seconds *
                                                                   requests_[index].prompt_tokens /
                                                                   model_.work().prompt_tokens;
      schedule(now_ + transfer, Event::Kind::received, index);
    }
    prefillers_[prefiller].prompts.clear();
    start_prefills();
  }

  void receive(std::size_t index) {
    requests_[index].first_token = now_;
    if (requests_[index].output_tokens <= 1) {
      finish(index);
    } else {
      give(index, 0);
    }
  }

  [[nodiscard]] double own_seconds_per_token() const {
    return steps_.prefill().own / model_.work().prompt_tokens;
  }

  [[nodiscard]] double shared_seconds_per_chunk() const {
    return steps_.prefill().shared /
           std::max(1.0, model_.work().prompt_tokens / kPrefillChunkTokens);
  }

  // ---- decode ---------------------------------------------------------------------------------

  /// To the instance with the fewest sequences.
  void give(std::size_t index, double prompt_left) {
    const auto least =
        std::min_element(decoders_.begin(), decoders_.end(),
                         [](const Decoder& a, const Decoder& b) { return a.load() < b.load(); });
    least->waiting.push_back({index, prompt_left});
    const auto instance = static_cast<std::size_t>(least - decoders_.begin());
    if (!least->is_busy) {
      start_block(instance);
    } else if (!least->has_prefill && least->running.size() < most_sequences_) {
      cut_block(instance);
    }
  }

  /// The block ends with the step under way.
  void cut_block(std::size_t instance) {
    Decoder& decoder = decoders_[instance];
    const double done = std::ceil((now_ - decoder.block_start) / decoder.step_seconds);
    const double steps = std::clamp(done, 1.0, decoder.steps);
    if (steps < decoder.steps) {
      decoder.steps = steps;
      schedule(decoder.block_start + steps * decoder.step_seconds, Event::Kind::block_end, instance,
               ++decoder.block);
    }
  }

  void start_block(std::size_t instance) {
    Decoder& decoder = decoders_[instance];
    decoder.decoding = decoder.running.size();
    double budget = kPrefillChunkTokens;
    double prefill_tokens = 0;
    auto& waiting = decoder.waiting;
    while (!waiting.empty() && budget > 0 &&
           decoder.running.size() + decoder.computed.size() < most_sequences_) {
      Waiting& next = waiting.front();
      const double taken = std::min(budget, next.prompt_left);
      budget -= taken;
      prefill_tokens += taken;
      next.prompt_left -= taken;
      if (next.prompt_left > 0) {
        break;
      }
      if (taken > 0) {
        decoder.computed.push_back(next.request);
      } else {
        run(decoder, next.request);
        ++decoder.decoding;
      }
      waiting.pop_front();
    }
    peak_sequences_ = std::max(peak_sequences_, decoder.running.size() + decoder.computed.size());
    decoder.has_prefill = prefill_tokens > 0;
    decoder.is_busy = decoder.has_prefill || decoder.decoding > 0;
    if (!decoder.is_busy) {
      return;
    }
    // A prompt takes its full time however many share a chunk, as in the closed form.
    const double prefill =
        prefill_tokens / model_.work().prompt_tokens * steps_.prefill().seconds();
    decoder.step_seconds =
        prefill +
        (decoder.decoding > 0 ? steps_.decode(static_cast<double>(decoder.decoding)).seconds : 0);
    decoder.steps = 1;
    if (!decoder.has_prefill) {
      const double left = decoder.running.top().at_token - decoder.tokens;
      decoder.steps = std::max(1.0, std::ceil(left / steps_.accepted_tokens()));
    }
    decoder.block_start = now_;
    schedule(now_ + decoder.steps * decoder.step_seconds, Event::Kind::block_end, instance,
             ++decoder.block);
  }

  void end_block(std::size_t instance) {
    Decoder& decoder = decoders_[instance];
    if (decoder.decoding > 0) {
      decoder.tokens += decoder.steps * steps_.accepted_tokens();
      const double seconds = decoder.steps * decoder.step_seconds;
      decode_seconds_ += seconds;
      sequence_seconds_ += seconds * static_cast<double>(decoder.decoding);
    }
    constexpr double kRounding = 1e-9;  // of sums of accepted tokens
    while (!decoder.running.empty() &&
           decoder.running.top().at_token <= decoder.tokens * (1 + kRounding)) {
      finish(decoder.running.top().request);
      decoder.running.pop();
    }
    for (const std::size_t index : decoder.computed) {
      if (steps_.prefill().pipeline_fill > 0) {
        schedule(now_ + steps_.prefill().pipeline_fill, Event::Kind::received, index);
      } else {
        requests_[index].first_token = now_;
        if (requests_[index].output_tokens <= 1) {
          finish(index);
        } else {
          run(decoder, index);
        }
      }
    }
    decoder.computed.clear();
    start_block(instance);
  }

  void run(Decoder& decoder, std::size_t index) {
    // The first token is the prefill's.
    decoder.running.push({decoder.tokens + requests_[index].output_tokens - 1, index});
  }

  void finish(std::size_t index) {
    requests_[index].finished = now_;
    requests_[index].is_finished = true;
    if (traffic_.arrivals.pattern == ArrivalPattern::closed_loop && started_ < requests_.size()) {
      schedule(now_, Event::Kind::arrival, started_++);
    }
  }

  // ---- result ---------------------------------------------------------------------------------

  static Quantiles quantiles(std::vector<double>& values) {
    std::sort(values.begin(), values.end());
    const auto at = [&](double share) {
      const auto rank =
          static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
      return seconds(values.empty() ? 0 : values[std::max<std::size_t>(rank, 1) - 1]);
    };
    return {at(0.5), at(0.9), at(0.99)};
  }

  [[nodiscard]] TrafficResult result() const {
    const bool is_loop = traffic_.arrivals.pattern == ArrivalPattern::closed_loop;
    const auto skipped = static_cast<std::size_t>(
        is_loop ? 0 : kWarmUpShare * static_cast<double>(requests_.size()));
    std::vector<double> ttft;
    std::vector<double> tpot;
    std::vector<double> whole;
    double end = 0;
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      const Request& one = requests_[i];
      end = std::max(end, one.finished);
      if (i < skipped || !one.is_finished) {
        continue;
      }
      ttft.push_back(one.first_token - one.arrived);
      whole.push_back(one.finished - one.arrived);
      if (one.output_tokens > 1) {
        tpot.push_back((one.finished - one.first_token) / (one.output_tokens - 1));
      }
    }
    TrafficResult result;
    result.requests = ttft.size();
    result.peak_sequences = peak_sequences_;
    result.ttft = quantiles(ttft);
    result.tpot = quantiles(tpot);
    result.request = quantiles(whole);
    const double start = requests_.empty() ? 0 : requests_.front().arrived;
    result.requests_per_second = static_cast<double>(requests_.size()) / (end - start);
    result.mean_sequences = decode_seconds_ > 0 ? sequence_seconds_ / decode_seconds_ : 0;
    return result;
  }

  const Setup& setup_;
  const ServingModel& model_;
  const StepModel& steps_;
  const Traffic& traffic_;
  bool has_pools_;
  std::size_t most_sequences_;
  std::vector<Decoder> decoders_;
  std::vector<Prefiller> prefillers_;
  std::deque<std::size_t> prompts_;  // that wait for the prefill pool
  std::vector<Request> requests_;
  std::size_t started_ = 0;  // of a closed loop
  EarliestFirst<Event> events_;
  std::uint64_t order_ = 0;
  double now_ = 0;
  double decode_seconds_ = 0;
  double sequence_seconds_ = 0;
  std::size_t peak_sequences_ = 0;
};

}  // namespace

double sustained_requests_per_second(const Setup& setup, const ServingModel& model) {
  const auto& steps = model.steps();
  const auto& prefill = steps.prefill();
  constexpr double kMostBatch = 16384;
  const double batch = std::floor(std::min(kMostBatch, model.most_sequences()));
  const double decoding =
      (setup.output_tokens - 1) * steps.decode(batch).seconds / steps.accepted_tokens();
  if (setup.layout.mode == Serving::aggregated) {
    return batch / (decoding + batch * prefill.seconds());
  }
  const double prompts =
      std::max(1.0, std::floor(kPrefillChunkTokens / model.work().prompt_tokens));
  const double prefilled =
      setup.layout.prefill.instances * prompts / (prompts * prefill.own + prefill.shared);
  return decoding > 0 ? std::min(prefilled, setup.layout.decode.instances * batch / decoding)
                      : prefilled;
}

TrafficResult simulate_requests(const Setup& setup, const ServingModel& model,
                                const Traffic& traffic) {
  return Simulation{setup, model, traffic}.run();
}

}  // namespace perwatt::inference::serving
