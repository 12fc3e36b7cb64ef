#include "perwatt/measure/load_results.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "perwatt/base/text.hpp"

namespace perwatt::measure {

namespace {

constexpr double kManyUnfinished = 0.01;  // share of requests: their latencies are missing
constexpr double kManyFailed = 0.5;       // share of requests: what is left is no sample
constexpr double kShortAnswer = 0.9;      // of the length asked for
constexpr double kManyStalled = 0.1;      // of the window, in one stall of this client
constexpr Seconds kLongStall = seconds(0.1);
constexpr double kCachedShare = 0.01;  // of input tokens of single requests

class LatencyTable {
 public:
  void add(const std::optional<Seconds>& latency) {
    if (latency) {
      histogram_.add(*latency);
    }
  }

  [[nodiscard]] std::optional<Quantiles> quantiles() const { return summarize(histogram_); }

 private:
  LogHistogram histogram_;
};

bool meets(const std::optional<Seconds>& limit, const std::optional<Seconds>& latency) {
  return !limit || (latency && *latency <= *limit);
}

class LoadResults {
 public:
  LoadResults(const LoadRun& run, const ClientBounds& bounds, Measurement& measurement)
      : run_{run}, bounds_{bounds}, m_{measurement} {}

  void fill() {
    m_.window = run_.window.end - run_.window.begin;
    m_.whole = run_.end - run_.begin;
    m_.end = run_.end_reason;
    m_.mean_concurrency = run_.mean_concurrency;
    for (const auto& record : run_.records) {
      count_output(record);
      const bool in_window = record.intended >= run_.window.begin &&
                             (record.intended < run_.window.end || !run_.is_steady);
      if (in_window) {
        count_request(record);
      }
    }
    fill_rates();
    fill_latencies();
    fill_client();
    judge();
  }

 private:
  void count_output(const RequestRecord& record) {
    const Tokens arrived = output_in_window(record);
    output_ += arrived;
    if (is_good(record, m_.slo)) {
      good_ += arrived;
    }
    if (record.outcome == RequestOutcome::ok && record.output_source == TokenSource::chunks &&
        record.content_chunks_in_window > 0) {
      all_by_usage_ = false;
    }
    const bool began_inside = record.first_content && *record.first_content >= run_.window.begin &&
                              *record.first_content < run_.window.end;
    if (began_inside) {
      if (record.input_tokens) {
        m_.tokens.input += *record.input_tokens;
        cached_ += record.turn == 0 ? record.cached_input_tokens.value_or(0) : 0;
        input_of_first_turns_ += record.turn == 0 ? *record.input_tokens : 0;
      } else {
        all_inputs_known_ = false;
      }
    }
  }

  void count_request(const RequestRecord& record) {
    auto& counts = m_.requests;
    ++counts.sent;
    if (record.outcome == RequestOutcome::cancelled) {
      ++counts.cancelled;
      return;
    }
    if (record.outcome != RequestOutcome::ok) {
      ++counts.failed;
      ++counts.failed_by_outcome[std::string{to_string(record.outcome)}];
      last_failure_ = record.detail;
      return;
    }
    ++counts.ok;
    good_requests_ += is_good(record, m_.slo) ? 1 : 0;
    output_of_ok_ += record.output_tokens;
    ttft_.add(ttft(record));
    ttft_from_intended_.add(ttft_from_intended(record));
    ttfo_.add(ttfo(record));
    tpot_.add(tpot(record));
    e2e_.add(e2e(record));
    e2e_from_intended_.add(e2e_from_intended(record));
  }

  void fill_rates() {
    m_.tokens.output = std::llround(in_tokens(output_));
    m_.tokens.good = std::llround(in_tokens(good_));
    m_.tokens.output_by_usage = all_by_usage_ && m_.tokens.output > 0;
    m_.tokens.input_known = all_inputs_known_ && m_.tokens.input > 0;
    if (m_.window > Seconds{}) {
      m_.output_rate = output_ / m_.window;
      m_.goodput = good_ / m_.window;
      if (m_.tokens.input_known) {
        m_.input_rate = tokens(static_cast<double>(m_.tokens.input)) / m_.window;
      }
    }
    if (m_.requests.sent > 0) {
      m_.good_request_ratio =
          static_cast<double>(good_requests_) / static_cast<double>(m_.requests.sent);
    }
  }

  void fill_latencies() {
    m_.latencies = {ttft_.quantiles(),
                    ttft_from_intended_.quantiles(),
                    ttfo_.quantiles(),
                    tpot_.quantiles(),
                    summarize(run_.content_gaps),
                    e2e_.quantiles(),
                    e2e_from_intended_.quantiles(),
                    run_.content_gaps.relative_error_ratio()};
  }

  void fill_client() {
    m_.client.schedule_error_p99 = run_.schedule_error.quantile(0.99).value_or(Seconds{});
    m_.client.lag_p99 = run_.lag.quantile(0.99).value_or(Seconds{});
    m_.client.longest_stall = run_.longest_stall;
    m_.client.valid = m_.client.lag_p99 <= bounds_.lag_p99 &&
                      m_.client.schedule_error_p99 <= bounds_.schedule_error_p99;
  }

  void note(bool fatal, const std::string& reason) {
    m_.valid = m_.valid && !fatal;
    m_.reasons.push_back(reason);
  }

  void judge() {
    m_.valid = true;
    judge_end();
    judge_requests();
    judge_tokens();
    judge_client();
  }

  void judge_client() {
    if (!m_.client.valid) {
      note(true, fmt::format("client_lag: this client was late itself (lag p99 {} ms, schedule "
                             "error p99 {} ms): use a less busy machine or a lower load",
                             significant(1e3 * in_seconds(m_.client.lag_p99), 3),
                             significant(1e3 * in_seconds(m_.client.schedule_error_p99), 3)));
    }
    if (m_.client.longest_stall > kLongStall) {
      note(
          m_.client.longest_stall > kManyStalled * m_.window,
          fmt::format("client_stall: this client stood still for {} s: latencies around it are its "
                      "own",
                      significant(in_seconds(m_.client.longest_stall), 3)));
    }
  }

  void judge_end() {
    if (run_.end_reason == RunEnd::interrupted || run_.end_reason == RunEnd::server_lost) {
      note(true, (run_.end_reason == RunEnd::interrupted ? "interrupted: " : "server_lost: ") +
                     run_.end_detail + "; the result is partial");
    }
    if (!run_.is_steady) {
      note(false,
           "not_steady: too few requests for a steady part; the whole run is the window, start and "
           "end included");
    }
  }

  void judge_requests() {
    const auto& counts = m_.requests;
    if (counts.sent == 0) {
      note(true, "no_requests: no request was due inside the window");
      return;
    }
    const auto sent = static_cast<double>(counts.sent);
    if (counts.ok == 0) {
      note(true, "no_answers: no request of the window succeeded" +
                     (last_failure_.empty() ? "" : "; the last one: " + last_failure_));
    } else if (counts.failed > 0) {
      note(static_cast<double>(counts.failed) > kManyFailed * sent,
           fmt::format("failed_requests: {} of {} failed; the last one: {}", counts.failed,
                       counts.sent, last_failure_));
    }
    if (counts.cancelled > 0 && run_.end_reason == RunEnd::complete) {
      note(static_cast<double>(counts.cancelled) > kManyUnfinished * sent,
           fmt::format("unfinished_requests: {} of {} had not ended when the drain was over; their "
                       "latencies are missing, and they count as not good",
                       counts.cancelled, counts.sent));
    }
  }

  void judge_tokens() {
    if (m_.tokens.output > 0 && !m_.tokens.output_by_usage) {
      note(
          false,
          "no_usage: the server reports no usage; output tokens are content chunks, a lower bound");
    }
    const auto input = static_cast<double>(input_of_first_turns_);
    if (static_cast<double>(cached_) > kCachedShare * input) {
      note(false, fmt::format("cached_prompts: {} of {} input tokens came from a prefix cache",
                              cached_, input_of_first_turns_));
    }
    if (m_.osl_tokens && m_.requests.ok > 0) {
      const double mean = static_cast<double>(output_of_ok_) / static_cast<double>(m_.requests.ok);
      if (mean < kShortAnswer * *m_.osl_tokens && m_.tokens.output_by_usage) {
        note(false, fmt::format("short_answers: answers have {} tokens, {} were asked for: the "
                                "server may not honour ignore_eos",
                                significant(mean, 4), *m_.osl_tokens));
      }
    }
  }

  const LoadRun& run_;
  const ClientBounds& bounds_;
  Measurement& m_;
  Tokens output_;
  Tokens good_;
  std::int64_t cached_ = 0;
  std::int64_t input_of_first_turns_ = 0;
  std::int64_t output_of_ok_ = 0;
  std::int64_t good_requests_ = 0;
  bool all_by_usage_ = true;
  bool all_inputs_known_ = true;
  std::string last_failure_;
  LatencyTable ttft_, ttft_from_intended_, ttfo_, tpot_, e2e_, e2e_from_intended_;
};

}  // namespace

bool is_good(const RequestRecord& record, const Slo& slo) {
  if (record.outcome != RequestOutcome::ok) {
    return false;
  }
  // One token has no time between tokens: nothing to violate.
  const bool has_gaps = record.output_tokens > 1;
  return meets(slo.ttft, ttft_from_intended(record)) && meets(slo.e2e, e2e_from_intended(record)) &&
         (!has_gaps || (meets(slo.tpot, tpot(record)) && meets(slo.itl, record.longest_gap)));
}

Tokens output_in_window(const RequestRecord& record) {
  if (record.content_chunks == 0) {
    return {};
  }
  return tokens(static_cast<double>(record.output_tokens)) *
         (static_cast<double>(record.content_chunks_in_window) /
          static_cast<double>(record.content_chunks));
}

std::vector<Tokens> output_tokens_per_second(const LoadRun& run) {
  Tokens output;
  std::int64_t chunks = 0;
  for (const auto& record : run.records) {
    output += output_in_window(record);
    chunks += record.content_chunks_in_window;
  }
  std::vector<Tokens> per_second;
  per_second.reserve(run.chunks_per_second.size());
  for (const auto count : run.chunks_per_second) {
    per_second.push_back(output * (static_cast<double>(count) / static_cast<double>(chunks)));
  }
  return per_second;
}

void add_load_results(const LoadRun& run, const ClientBounds& bounds, Measurement& measurement) {
  LoadResults{run, bounds, measurement}.fill();
}

}  // namespace perwatt::measure
