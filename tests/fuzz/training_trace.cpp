// A trace of a profiler, whole and cut into parts, and all that is made of it.
#include <cstddef>
#include <cstdint>

#include "fuzz_check.hpp"

#include "perwatt/training/trace_analysis.hpp"
#include "perwatt/training/trace_power.hpp"

namespace {

using namespace perwatt;

training::RankTrace read(std::string_view text, std::size_t part) {
  training::TraceReader reader{"trace.json"};
  for (std::size_t at = 0; at < text.size(); at += part) {
    reader.feed(text.substr(at, part));
  }
  return reader.finish();
}

void check_breakdown(const training::RankBreakdown& times) {
  auto sum = times.compute + times.copies + times.idle;
  for (const auto exposed : times.exposed) {
    sum += exposed;
  }
  const double off = in_seconds(sum - times.length);
  fuzz::demand(off * off <= 1e-18 * (1 + in_seconds(times.length) * in_seconds(times.length)),
               "the breakdown does not add up");
}

void check_paths(const training::JobTimeline& job, const training::TracedSchedule& schedule) {
  for (std::size_t i = 0; i < job.iterations.size(); ++i) {
    static_cast<void>(training::schedule_path(job, schedule, i));
    auto at = job.iterations[i].begin;
    for (const auto& piece : training::kernel_path(job, schedule, i)) {
      fuzz::demand(piece.span.begin == at && piece.span.begin < piece.span.end,
                   "the path has a gap or turns back");
      at = piece.span.end;
    }
    fuzz::demand(at == job.iterations[i].end, "the path ends before the iteration");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  fuzz::demand_answer_or_error([&] {
    auto trace = read(text, 7);
    fuzz::demand(trace.works.size() == read(text, size).works.size(), "parts change the trace");
    trace.rank = trace.rank.value_or(0);
    auto other = read(text, size);
    other.rank = *trace.rank ^ 1;
    training::TimelineOptions options;
    if (size % 2 == 0 && *trace.rank < 2) {
      options.layout = training::RankLayout{2, 1, 1, 1};
    }
    std::vector<training::RankTrace> traces;
    traces.push_back(std::move(trace));
    traces.push_back(std::move(other));
    const auto job = training::make_job_timeline(std::move(traces), options);
    const auto schedule = training::traced_schedule(job);
    for (const auto& times : training::break_down(job, schedule)) {
      check_breakdown(times);
    }
    check_paths(job, schedule);
    const auto phases = training::phases_of(job.ranks.front(), job.window());
    for (std::size_t i = 1; i < phases.pieces.size(); ++i) {
      fuzz::demand(phases.pieces[i].span.begin == phases.pieces[i - 1].span.end,
                   "phases leave time out");
    }
  });
  return 0;
}
