#include "perwatt/measure/load_runner.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <queue>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "answer_reader.hpp"
#include "content_counter.hpp"

#include "perwatt/base/error.hpp"

namespace perwatt::measure {

namespace {

constexpr Seconds kLongestPoll = seconds(0.1);  // for the stop flag and the progress
constexpr Seconds kFirstBackOff = seconds(0.01);
constexpr Seconds kLongestBackOff = seconds(1);
constexpr std::size_t kLostAfterFailures = 20;  // in a row, with nothing under way that answers
constexpr std::size_t kOpenAhead = 64;          // connections of an open loop without a cap
constexpr double kLeastSteadyShare = 0.2;       // of the whole run, for a window cut out of it

/// A request that is due: a session's first one (no `planned`), or a later turn.
struct Due {
  Instant at;
  std::uint64_t order = 0;  // of equal times
  std::optional<PlannedRequest> planned;
  bool starts_session = false;
};

struct Later {
  bool operator()(const Due& a, const Due& b) const {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  }
};

class LoadRunner final : public net::StreamObserver {
 public:
  LoadRunner(const LoadPlan& plan, Workload& workload)
      : plan_{plan}, workload_{workload}, client_{plan.server, plan.client, *this} {}

  LoadRun run(const std::atomic<bool>& stop, const std::function<void(double)>& progress) {
    const bool is_connected = connect_ahead();
    run_.begin = Instant::now();
    whole_.open(run_.begin);
    if (!is_connected) {
      end_early(RunEnd::server_lost, "no connection to " + plan_.server.origin());
      return finish();
    }
    first_session();
    while (!is_over()) {
      if (stop) {
        end_early(RunEnd::interrupted, "the run was interrupted");
        break;
      }
      start_due(Instant::now());
      client_.poll(next_wake());
      move_window(Instant::now());
      progress(share_done(Instant::now()));
    }
    return finish();
  }

  void on_sent(net::StreamId id, Instant at) override { readers_.at(id).on_sent(at); }

  void on_head(net::StreamId id, const net::ResponseHead& head, Instant at) override {
    note_late(&Lateness::lag, at, client_.ready_since());
    readers_.at(id).on_head(head);
  }

  void on_body(net::StreamId id, std::string_view bytes, Instant at) override {
    note_late(&Lateness::lag, at, client_.ready_since());
    auto& reader = readers_.at(id);
    const bool had_content = reader.record().content_chunks > 0;
    reader.on_body(bytes, at, parser_, counter_, whole_);
    if (!had_content && reader.record().content_chunks > 0) {
      ++sessions_with_content_;
      users_to_begin_ -= first_of_users_.erase(id);
      consecutive_failures_ = 0;
      if (!counter_.begin() && is_warm(at)) {
        open_window(at);  // now: the next look may come after short answers have ended
      }
    }
  }

  void on_end(net::StreamId id, net::StreamEnd end, const std::string& detail,
              Instant at) override {
    const auto found = readers_.find(id);
    auto record = found->second.finish(end, detail, at);
    readers_.erase(found);
    change_under_way(-1, at);
    users_to_begin_ -= first_of_users_.erase(id);
    after(record, at);
    run_.records.push_back(std::move(record));
  }

 private:
  /// Integral of how many requests are under way, over the window.
  class UnderWay {
   public:
    void change(int by, Instant at, const ContentCounter& counter) {
      integrate_to(at, counter);
      now_ += by;
    }

    void integrate_to(Instant at, const ContentCounter& counter) {
      if (counter.begin()) {
        const Instant from = std::max(last_, *counter.begin());
        const Instant to = counter.end() ? std::min(at, *counter.end()) : at;
        if (to > from) {
          request_seconds_ += now_ * in_seconds(to - from);
        }
      }
      last_ = at;
    }

    [[nodiscard]] double request_seconds() const { return request_seconds_; }

   private:
    int now_ = 0;
    Instant last_;
    double request_seconds_ = 0.0;
  };

  void change_under_way(int by, Instant at) {
    under_way_.change(by, at, counter_);
    under_way_whole_.change(by, at, whole_);
  }

  [[nodiscard]] bool is_closed_loop() const {
    return !plan_.next_offset && !workload_.next_offset();
  }

  bool connect_ahead() {
    // In open loop too: a handshake under way is not the client's own lateness.
    const auto wanted = plan_.concurrency.value_or(is_closed_loop() ? 1 : kOpenAhead);
    return client_.open_ahead(wanted, plan_.client.connect_timeout) > 0;
  }

  // ---- when requests are due

  void first_session() {
    is_closed_loop_ = is_closed_loop();
    if (!is_closed_loop_) {
      schedule_next_arrival();
      return;
    }
    const std::size_t users = plan_.concurrency.value_or(1);
    users_to_begin_ = users;
    for (std::size_t i = 0; i < users; ++i) {
      const auto share = static_cast<double>(i) / static_cast<double>(users);
      push_due(run_.begin + plan_.concurrency_ramp * share, std::nullopt, true);
    }
  }

  void schedule_next_arrival() {
    if (is_sending_over()) {
      return;
    }
    const auto offset = plan_.next_offset ? plan_.next_offset() : workload_.next_offset();
    if (!offset) {
      arrivals_over_ = true;
      return;
    }
    // A timed workload gives its next time only after this request.
    push_due(run_.begin + *offset, plan_.next_offset ? std::nullopt : workload_.next(), true);
  }

  void push_due(Instant at, std::optional<PlannedRequest> planned, bool starts_session) {
    due_.push({at, order_++, std::move(planned), starts_session});
  }

  /// The next session's request is made before it is due, so that making it delays nothing.
  void prepare() {
    if (!prepared_ && !workload_over_ && !is_count_reached()) {
      prepared_ = workload_.next();
      workload_over_ = !prepared_;
    }
  }

  [[nodiscard]] bool has_capacity() const {
    return !plan_.concurrency || readers_.size() < *plan_.concurrency;
  }

  [[nodiscard]] bool is_count_reached() const {
    return plan_.request_count && sessions_started_ >= *plan_.request_count;
  }

  [[nodiscard]] bool is_sending_over() const {
    return window_over_ || arrivals_over_ || is_count_reached() || (workload_over_ && !prepared_);
  }

  void start_due(Instant now) {
    while (!waiting_.empty() && has_capacity()) {
      Due due = std::move(waiting_.front());
      waiting_.pop_front();
      start(std::move(due), true);
    }
    while (!due_.empty() && due_.top().at <= now) {
      Due due = due_.top();
      due_.pop();
      if (has_capacity()) {
        start(std::move(due), false);
      } else {
        waiting_.push_back(std::move(due));
        if (!is_closed_loop_ && waiting_.back().starts_session) {
          schedule_next_arrival();
        }
      }
    }
  }

  void start(Due due, bool was_held_back) {
    if (due.starts_session) {
      if (!due.planned) {
        prepare();
        due.planned = std::exchange(prepared_, std::nullopt);
      }
      if (!due.planned || is_count_reached()) {
        // A user who never had a request is none that has become idle.
        if (due.order >= plan_.concurrency.value_or(1)) {
          close_window_when_idle(Instant::now());
        }
        return;
      }
      ++sessions_started_;
    }
    const bool is_first_of_user = is_closed_loop_ && due.order < plan_.concurrency.value_or(1);
    post(*due.planned, due.at, was_held_back, is_first_of_user);
    if (due.starts_session && !is_closed_loop_ && !was_held_back) {
      schedule_next_arrival();
    }
    if (is_closed_loop_ || plan_.next_offset) {
      prepare();
    }
  }

  void post(PlannedRequest& planned, Instant intended, bool was_held_back, bool is_first_of_user) {
    RequestRecord record;
    record.index = next_index_++;
    record.session = planned.session;
    record.turn = planned.turn;
    record.tenant = std::move(planned.tenant);
    record.prompt = planned.prompt;
    record.expected = std::move(planned.expected);
    record.intended = intended;
    record.held_back = was_held_back;
    change_under_way(1, Instant::now());
    const auto id = client_.post(plan_.path, planned.body, planned.headers);
    if (!was_held_back) {
      note_late(&Lateness::schedule_error, Instant::now(), intended);
    }
    readers_.try_emplace(id, std::move(record), planned.wants_text, plan_.keep_gaps);
    if (is_first_of_user) {
      first_of_users_.insert(id);
    }
  }

  /// What the end of one request brings about: the session's next turn, or in closed loop the
  /// user's next session, later when requests fail so that a broken server is not hammered.
  void after(const RequestRecord& record, Instant at) {
    const bool failed = record.outcome != RequestOutcome::ok;
    consecutive_failures_ = failed ? consecutive_failures_ + 1 : 0;
    if (record.content_chunks > 0) {
      --sessions_with_content_;
    }
    if (record.outcome == RequestOutcome::cancelled) {
      return;
    }
    auto next_turn = workload_.follow_up(record);
    if (next_turn && !drops_what_is_due_) {
      push_due(at + workload_.delay(), std::move(next_turn), false);
      return;
    }
    if (is_closed_loop_) {
      if (is_sending_over()) {
        close_window_when_idle(at);
        return;
      }
      push_due(failed ? at + back_off() : at, std::nullopt, true);
    }
  }

  [[nodiscard]] Seconds back_off() const {
    const auto doublings = static_cast<double>(std::min<std::size_t>(consecutive_failures_, 16));
    return std::min(kLongestBackOff, kFirstBackOff * std::exp2(doublings - 1));
  }

  // ---- the window

  void move_window(Instant now) {
    if (!counter_.begin() && is_warm(now)) {
      open_window(now);
    }
    if (counter_.begin() && plan_.duration && !window_over_ &&
        now >= *counter_.begin() + *plan_.duration) {
      close_window_and_drop(*counter_.begin() + *plan_.duration);
    }
    if (is_server_lost()) {
      end_early(RunEnd::server_lost,
                "the server failed " + std::to_string(consecutive_failures_) +
                    " requests in a row; the last one: " + run_.records.back().detail);
    }
  }

  [[nodiscard]] bool is_warm(Instant now) const {
    const Instant warm_at = run_.begin + plan_.warmup;
    if (now < warm_at) {
      return false;
    }
    if (!is_closed_loop_) {
      return true;
    }
    // A server too slow to answer every user within the window's own length is measured as it is.
    const bool waited_long = plan_.duration && now >= warm_at + *plan_.duration;
    return users_to_begin_ == 0 || waited_long || is_sending_over();
  }

  /// In open loop the window begins when the warm-up ends, to the nanosecond; in closed loop when
  /// it is seen to.
  void open_window(Instant now) {
    const Instant begin = is_closed_loop_ ? now : std::min(now, run_.begin + plan_.warmup);
    under_way_.integrate_to(begin, counter_);
    counter_.open(begin);
    if (plan_.duration) {
      counter_.close(begin + *plan_.duration);  // also for chunks that are read late
    }
  }

  void close_window(Instant at) {
    if (!counter_.begin()) {
      open_window(at);
    }
    under_way_.integrate_to(at, counter_);
    counter_.close(at);
    window_over_ = true;
    drain_until_ = at + plan_.drain;
  }

  /// The window is over by time, or the run is: what has not been sent is not sent any more.
  void close_window_and_drop(Instant at) {
    close_window(at);
    drops_what_is_due_ = true;
    waiting_.clear();
    due_ = {};
  }

  /// Closed loop by count: the load is steady until the first user has nothing left to ask.
  void close_window_when_idle(Instant at) {
    if (is_closed_loop_ && !window_over_) {
      close_window(at);
    }
  }

  [[nodiscard]] bool is_server_lost() const {
    const auto bound = std::max(kLostAfterFailures, 2 * plan_.concurrency.value_or(1));
    return consecutive_failures_ >= bound && sessions_with_content_ == 0;
  }

  [[nodiscard]] bool is_over() const {
    const Instant now = Instant::now();
    if (run_.end_reason != RunEnd::complete || (drain_until_ && now >= *drain_until_)) {
      return true;
    }
    const bool none_left = due_.empty() && waiting_.empty();
    if (window_over_) {
      return readers_.empty() && none_left;
    }
    // All was asked and answered; a window of a stated length goes on, idle or not.
    const bool window_goes_on = plan_.duration && !is_closed_loop_ && !is_count_reached();
    return is_sending_over() && !window_goes_on && readers_.empty() && none_left;
  }

  [[nodiscard]] Instant next_wake() const {
    Instant wake = Instant::now() + kLongestPoll;
    if (!due_.empty()) {
      wake = std::min(wake, due_.top().at);
    }
    if (drain_until_) {
      wake = std::min(wake, *drain_until_);
    } else if (counter_.begin() && plan_.duration) {
      wake = std::min(wake, *counter_.begin() + *plan_.duration);
    } else if (!counter_.begin() && Instant::now() < run_.begin + plan_.warmup) {
      wake = std::min(wake, run_.begin + plan_.warmup);
    }
    return wake;
  }

  [[nodiscard]] double share_done(Instant now) const {
    if (plan_.duration) {
      return std::min(1.0, (now - run_.begin) / (plan_.warmup + *plan_.duration));
    }
    const auto total = plan_.request_count ? plan_.request_count : workload_.size();
    return total && *total > 0
               ? std::min(1.0, static_cast<double>(sessions_started_) / static_cast<double>(*total))
               : 0.0;
  }

  void end_early(RunEnd reason, const std::string& detail) {
    run_.end_reason = reason;
    run_.end_detail = detail;
    if (!window_over_) {
      close_window_and_drop(Instant::now());
    }
  }

  // ---- the result

  /// How late this client was.
  struct Lateness {
    LogHistogram lag;
    LogHistogram schedule_error;
  };

  /// What happened at `at` and should have happened at `due`.
  void note_late(LogHistogram Lateness::*kind, Instant at, Instant due) {
    (lateness_whole_.*kind).add(at - due);
    if (counter_.holds(at)) {
      (lateness_.*kind).add(at - due);
    }
  }

  LoadRun finish() {
    std::vector<net::StreamId> left;
    left.reserve(readers_.size());
    for (const auto& [id, reader] : readers_) {
      left.push_back(id);
    }
    for (const auto id : left) {
      client_.cancel(id);
    }
    while (!readers_.empty()) {
      client_.poll(Instant::now());  // tells their ends
    }
    run_.end = Instant::now();
    if (!window_over_) {
      close_window(run_.end);
    }
    run_.window = {*counter_.begin(), *counter_.end()};
    Seconds window = run_.window.end - run_.window.begin;
    const bool is_cut_by_count = !plan_.duration || is_count_reached();
    run_.is_steady = window > Seconds{} &&
                     (!is_cut_by_count || window >= kLeastSteadyShare * (run_.end - run_.begin));
    if (!run_.is_steady) {
      take_whole_run();
      window = run_.end - run_.begin;
    }
    const auto& counter = run_.is_steady ? counter_ : whole_;
    const auto& lateness = run_.is_steady ? lateness_ : lateness_whole_;
    run_.lag = lateness.lag;
    run_.schedule_error = lateness.schedule_error;
    run_.content_gaps = counter.gaps();
    run_.chunks_per_second = counter.per_second();
    run_.longest_stall = client_.take_longest_stall();
    const double request_seconds =
        run_.is_steady ? under_way_.request_seconds() : under_way_whole_.request_seconds();
    run_.mean_concurrency = window > Seconds{} ? request_seconds / in_seconds(window) : 0.0;
    std::sort(run_.records.begin(), run_.records.end(),
              [](const RequestRecord& a, const RequestRecord& b) { return a.index < b.index; });
    scale_chunks();
    return std::move(run_);
  }

  /// Tokens of answers without usage (cut, failed) by the tokens a chunk has in the others.
  void scale_chunks() {
    std::int64_t counted = 0;
    std::int64_t chunks = 0;
    for (const auto& record : run_.records) {
      if (record.output_source == TokenSource::usage) {
        counted += record.output_tokens;
        chunks += record.content_chunks;
      }
    }
    if (chunks == 0) {
      return;
    }
    const double tokens_per_chunk = static_cast<double>(counted) / static_cast<double>(chunks);
    for (auto& record : run_.records) {
      if (record.output_source == TokenSource::chunks) {
        record.output_tokens =
            std::llround(static_cast<double>(record.content_chunks) * tokens_per_chunk);
      }
    }
  }

  /// A run with too few requests for a steady part is told as a whole.
  void take_whole_run() {
    run_.window = {run_.begin, run_.end};
    under_way_whole_.integrate_to(run_.end, whole_);
    for (auto& record : run_.records) {
      record.content_chunks_in_window = record.content_chunks;
    }
  }

  const LoadPlan& plan_;
  Workload& workload_;
  LoadRun run_;
  ContentCounter counter_;  // of the window
  ContentCounter whole_;    // of the whole run
  ChatChunkParser parser_;
  Lateness lateness_;  // inside the window: many users that start at once are no part of it
  Lateness lateness_whole_;
  UnderWay under_way_;
  UnderWay under_way_whole_;
  std::unordered_map<net::StreamId, AnswerReader> readers_;
  std::priority_queue<Due, std::vector<Due>, Later> due_;
  std::deque<Due> waiting_;  // due, held back by the concurrency cap
  std::optional<PlannedRequest> prepared_;
  std::optional<Instant> drain_until_;
  std::uint64_t order_ = 0;
  std::uint64_t next_index_ = 0;
  std::size_t sessions_started_ = 0;
  std::unordered_set<net::StreamId> first_of_users_;  // closed loop: each user's first request
  std::size_t users_to_begin_ = 0;                    // whose first answer has not begun
  std::size_t sessions_with_content_ = 0;             // requests under way whose answer has begun
  std::size_t consecutive_failures_ = 0;
  bool is_closed_loop_ = false;
  bool arrivals_over_ = false;
  bool workload_over_ = false;
  bool window_over_ = false;
  bool drops_what_is_due_ = false;
  net::StreamClient client_;  // last: destroyed first, while what it calls back still stands
};

}  // namespace

LoadRun run_load(const LoadPlan& plan, Workload& workload, const std::atomic<bool>& stop,
                 const std::function<void(double)>& progress) {
  return LoadRunner{plan, workload}.run(stop, progress);
}

}  // namespace perwatt::measure
