#include "perwatt/training/rank_timeline.hpp"

#include <algorithm>
#include <cctype>
#include <set>
#include <unordered_map>

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::training {

namespace {

/// An annotation on the time of the GPU, as matched by a name.
struct Match {
  TimeSpan span;
  std::uint32_t name = 0;
  std::string instruction;
};

TimeSpan joined(const TimeSpan& a, const TimeSpan& b) {
  return {std::min(a.begin, b.begin), std::max(a.end, b.end)};
}

/// GPU work launched within CPU annotations, by correlation.
class LaunchedWork {
 public:
  explicit LaunchedWork(const RankTrace& trace) : trace_{trace} {
    for (std::size_t i = 0; i < trace.works.size(); ++i) {
      if (trace.works[i].correlation >= 0) {
        works_.emplace(trace.works[i].correlation, i);
      }
    }
  }

  /// The span of what `keep` admits of the work launched in `cpu`.
  template <class Keep>
  std::optional<TimeSpan> span(const TimeSpan& cpu, const Keep& keep) const {
    std::optional<TimeSpan> span;
    auto launch = std::lower_bound(trace_.launches.begin(), trace_.launches.end(), cpu.begin,
                                   [](const Launch& l, Instant at) { return l.at < at; });
    for (; launch != trace_.launches.end() && launch->at <= cpu.end; ++launch) {
      const auto [first, last] = works_.equal_range(launch->correlation);
      for (auto work = first; work != last; ++work) {
        if (keep(work->second)) {
          const auto& found = trace_.works[work->second].span;
          span = span ? joined(*span, found) : found;
        }
      }
    }
    return span;
  }

 private:
  const RankTrace& trace_;
  std::unordered_multimap<std::int64_t, std::size_t>
      works_;  // one launch may give several (graphs)
};

class TimelineBuilder {
 public:
  TimelineBuilder(RankTrace trace, const TimelineOptions& options) : options_{options} {
    timeline_.trace = std::move(trace);
    classify();
    find_compute_stream();
  }

  RankTimeline build() {
    const bool needs_launches =
        matches_on_gpu(options_.names.iteration).empty() || !has_gpu_instructions();
    std::optional<LaunchedWork> launched;
    if (needs_launches) {
      launched.emplace(timeline_.trace);
    }
    find_iterations(launched);
    find_operations(launched);
    auto& trace = timeline_.trace;
    trace.works = {};
    trace.launches = {};
    trace.cpu_annotations = {};
    trace.gpu_annotations = {};
    return std::move(timeline_);
  }

 private:
  void classify() {
    const auto kinds = parallelisms_of(timeline_.trace, options_.layout);
    const bool has_stages = options_.layout && options_.layout->stages > 1;
    for (const auto& work : timeline_.trace.works) {
      ClassifiedWork classified{work.span, work.kind,  kinds[work.group], work.is_point_to_point,
                                work.name, work.group, work.stream};
      // Sends and receives of a group that says nothing are those between stages.
      if (work.is_point_to_point && classified.parallelism == Parallelism::other &&
          (has_stages || place_by_groups_has_stages())) {
        classified.parallelism = Parallelism::pipeline;
      }
      timeline_.works.push_back(classified);
    }
  }

  [[nodiscard]] bool place_by_groups_has_stages() const {
    return timeline_.trace.rank && place_by_groups(timeline_.trace).stages > 1;
  }

  void find_compute_stream() {
    std::map<std::int64_t, Seconds> busy;
    for (const auto& work : timeline_.works) {
      if (work.kind == GpuWorkKind::compute) {
        busy[work.stream] += work.span.length();
      }
    }
    Seconds most;
    for (const auto& [stream, time] : busy) {
      if (time > most) {
        most = time;
        timeline_.compute_stream = stream;
      }
    }
  }

  /// Which annotation names stand for `name`, by index.
  [[nodiscard]] std::vector<bool> names_of(std::string_view name) const {
    std::vector<bool> which;
    for (const auto& annotation : timeline_.trace.names) {
      which.push_back(stands_for(name, annotation));
    }
    return which;
  }

  [[nodiscard]] std::vector<Annotation> matches_on_gpu(std::string_view name) const {
    return chosen(timeline_.trace.gpu_annotations, names_of(name));
  }

  static std::vector<Annotation> chosen(const std::vector<Annotation>& all,
                                        const std::vector<bool>& which) {
    std::vector<Annotation> matches;
    std::copy_if(all.begin(), all.end(), std::back_inserter(matches),
                 [&](const Annotation& annotation) { return which[annotation.name]; });
    return matches;
  }

  [[nodiscard]] bool has_gpu_instructions() const {
    for (const auto& [instruction, names] : options_.names.instructions) {
      for (const auto& name : names) {
        if (matches_on_gpu(name).empty() &&
            !chosen(timeline_.trace.cpu_annotations, names_of(name)).empty()) {
          return false;
        }
      }
    }
    return true;
  }

  /// Iterations by annotation, on the GPU where Kineto projected them, else by what was launched
  /// within; one iteration of all work where nothing is annotated.
  void find_iterations(const std::optional<LaunchedWork>& launched) {
    std::map<std::uint32_t, TimeSpan> by_name;
    const auto add = [&](std::uint32_t name, const TimeSpan& span) {
      const auto [found, is_new] = by_name.try_emplace(name, span);
      if (!is_new) {
        found->second = joined(found->second, span);
      }
    };
    for (const auto& annotation : matches_on_gpu(options_.names.iteration)) {
      add(annotation.name, annotation.span);
    }
    if (by_name.empty() && launched) {
      const auto which = names_of(options_.names.iteration);
      for (const auto& annotation : chosen(timeline_.trace.cpu_annotations, which)) {
        if (const auto span = launched->span(annotation.span, [](std::size_t) { return true; })) {
          add(annotation.name, *span);
        }
      }
    }
    std::vector<std::pair<TimeSpan, std::string>> found;
    for (const auto& [name, span] : by_name) {
      found.emplace_back(span, timeline_.trace.names[name]);
    }
    std::sort(found.begin(), found.end(),
              [](const auto& a, const auto& b) { return a.first.begin < b.first.begin; });
    if (found.empty()) {
      found.emplace_back(all_work(), "");
    }
    for (auto& [span, name] : found) {
      timeline_.iterations.push_back(span);
      timeline_.iteration_names.push_back(std::move(name));
    }
    for (std::size_t i = 0; i + 1 < timeline_.iterations.size(); ++i) {
      timeline_.iterations[i].end = timeline_.iterations[i + 1].begin;
    }
  }

  [[nodiscard]] TimeSpan all_work() const {
    auto span = timeline_.works.front().span;
    for (const auto& work : timeline_.works) {
      span = joined(span, work.span);
    }
    return span;
  }

  [[nodiscard]] bool counts(std::size_t work) const {
    const auto& found = timeline_.works[work];
    return found.stream == timeline_.compute_stream && !found.is_transfer();
  }

  /// The work on the computing stream that lies within `span`.
  [[nodiscard]] std::optional<TimeSpan> within(const TimeSpan& span) const {
    auto work =
        std::lower_bound(timeline_.works.begin(), timeline_.works.end(), span.begin,
                         [](const ClassifiedWork& w, Instant at) { return w.span.begin < at; });
    std::optional<TimeSpan> found;
    for (; work != timeline_.works.end() && work->span.begin < span.end; ++work) {
      if (counts(static_cast<std::size_t>(work - timeline_.works.begin())) &&
          work->span.end <= span.end) {
        found = found ? joined(*found, work->span) : work->span;
      }
    }
    return found;
  }

  [[nodiscard]] std::vector<Match> matches_of(const std::string& instruction,
                                              const std::string& name,
                                              const std::optional<LaunchedWork>& launched) const {
    std::vector<Match> matches;
    const auto on_gpu = matches_on_gpu(name);
    for (const auto& annotation : on_gpu) {
      if (annotation.stream == timeline_.compute_stream || annotation.stream < 0) {
        if (const auto span = within(annotation.span)) {
          matches.push_back({*span, annotation.name, instruction});
        }
      }
    }
    if (on_gpu.empty() && launched) {
      for (const auto& annotation : chosen(timeline_.trace.cpu_annotations, names_of(name))) {
        if (const auto span =
                launched->span(annotation.span, [this](std::size_t w) { return counts(w); })) {
          matches.push_back({*span, annotation.name, instruction});
        }
      }
    }
    return matches;
  }

  void find_operations(const std::optional<LaunchedWork>& launched) {
    std::vector<Match> matches;
    for (const auto& [instruction, names] : options_.names.instructions) {
      for (const auto& name : names) {
        auto more = matches_of(instruction, name, launched);
        matches.insert(matches.end(), more.begin(), more.end());
      }
    }
    // An annotation inside another belongs to it: a forward that a backward repeats.
    std::stable_sort(matches.begin(), matches.end(), [](const Match& a, const Match& b) {
      return a.span.begin < b.span.begin ||
             (a.span.begin == b.span.begin && a.span.end > b.span.end);
    });
    std::map<std::pair<int, std::string>, int> count;
    Instant until = Instant::from_nanoseconds(-1);
    for (const auto& match : matches) {
      const auto iteration = iteration_of(match.span.begin);
      if (match.span.begin < until || !iteration) {
        continue;
      }
      until = match.span.end;
      const auto microbatch = count[{*iteration, match.instruction}]++;
      timeline_.operations.push_back({match.instruction, *iteration, microbatch, match.span});
    }
  }

  [[nodiscard]] std::optional<int> iteration_of(Instant at) const {
    for (std::size_t i = 0; i < timeline_.iterations.size(); ++i) {
      if (at >= timeline_.iterations[i].begin && at < timeline_.iterations[i].end) {
        return static_cast<int>(i);
      }
    }
    return std::nullopt;
  }

  const TimelineOptions& options_;
  RankTimeline timeline_;
};

/// Keeps the iterations in `kept` (by name) and numbers them anew.
void keep_iterations(RankTimeline& timeline, const std::vector<std::string>& kept) {
  std::vector<int> number(timeline.iterations.size(), -1);
  std::vector<std::string> names;
  std::vector<TimeSpan> iterations;
  for (std::size_t i = 0; i < timeline.iterations.size(); ++i) {
    if (std::find(kept.begin(), kept.end(), timeline.iteration_names[i]) != kept.end()) {
      number[i] = static_cast<int>(iterations.size());
      iterations.push_back(timeline.iterations[i]);
      names.push_back(timeline.iteration_names[i]);
    }
  }
  if (names != kept) {
    throw_bad_input("the iterations have another order than on the first rank", timeline.trace.file,
                    "give the traces of one run");
  }
  timeline.iterations = std::move(iterations);
  timeline.iteration_names = kept;
  std::vector<TimedOperation> operations;
  for (auto& operation : timeline.operations) {
    operation.iteration = number[static_cast<std::size_t>(operation.iteration)];
    if (operation.iteration >= 0) {
      operations.push_back(std::move(operation));
    }
  }
  timeline.operations = std::move(operations);
}

void check_ranks(const std::vector<RankTrace>& traces, const std::optional<RankLayout>& layout) {
  std::map<int, std::string> files;
  for (const auto& trace : traces) {
    if (!trace.rank) {
      throw_bad_input("the trace does not say its rank (distributedInfo)", trace.file,
                      "give --ranks, one for each trace in their order");
    }
    const auto [found, is_new] = files.emplace(*trace.rank, trace.file);
    if (!is_new) {
      throw_bad_input("rank " + std::to_string(*trace.rank) + " is that of " + found->second,
                      trace.file, "give one trace for each rank, or say --ranks");
    }
    if (layout && *trace.rank >= layout->ranks()) {
      throw_bad_input("rank " + std::to_string(*trace.rank) + " is none of the layout's " +
                          std::to_string(layout->ranks()),
                      trace.file, "check --stages, --tensor, --context and --data");
    }
  }
}

/// Iterations that every rank has, in the order of the first rank.
std::vector<std::string> common_iterations(const std::vector<RankTimeline>& ranks) {
  std::vector<std::string> common;
  for (const auto& name : ranks.front().iteration_names) {
    const bool is_everywhere = std::all_of(ranks.begin(), ranks.end(), [&](const auto& rank) {
      const auto& names = rank.iteration_names;
      return std::find(names.begin(), names.end(), name) != names.end();
    });
    if (is_everywhere) {
      common.push_back(name);
    }
  }
  if (common.empty()) {
    throw_bad_input("the traces have no iteration in common", ranks.back().trace.file,
                    "profile the same steps on every rank");
  }
  return common;
}

}  // namespace

bool stands_for(std::string_view name, std::string_view annotation) {
  if (annotation.size() < name.size() ||
      lower_case(annotation.substr(0, name.size())) != lower_case(name)) {
    return false;
  }
  const auto next = annotation.size() > name.size() ? annotation[name.size()] : ' ';
  return std::isalnum(static_cast<unsigned char>(next)) == 0 && next != '_';
}

JobTimeline make_job_timeline(std::vector<RankTrace> traces, const TimelineOptions& options) {
  if (traces.size() == 1 && !traces.front().rank) {
    traces.front().rank = 0;
  }
  check_ranks(traces, options.layout);
  std::sort(traces.begin(), traces.end(),
            [](const RankTrace& a, const RankTrace& b) { return *a.rank < *b.rank; });
  JobTimeline job;
  job.world_size = static_cast<int>(traces.size());
  job.stages = options.layout ? options.layout->stages : 1;
  job.is_world_size_known =
      options.layout || std::all_of(traces.begin(), traces.end(), [](const RankTrace& trace) {
        return trace.world_size.has_value();
      });
  for (auto& trace : traces) {
    job.world_size = std::max({job.world_size, trace.world_size.value_or(1), *trace.rank + 1});
    const auto found = place_by_groups(trace);
    const auto place = options.layout ? options.layout->place(*trace.rank) : found.place;
    job.stages = options.layout ? job.stages : std::max(job.stages, found.stages);
    job.ranks.push_back(TimelineBuilder{std::move(trace), options}.build());
    job.ranks.back().place = place;
  }
  if (options.layout) {
    job.world_size = options.layout->ranks();
  }
  const auto common = common_iterations(job.ranks);
  for (auto& rank : job.ranks) {
    keep_iterations(rank, common);
  }
  for (std::size_t i = 0; i < common.size(); ++i) {
    auto span = job.ranks.front().iterations[i];
    for (const auto& rank : job.ranks) {
      span = joined(span, rank.iterations[i]);
    }
    job.iterations.push_back(span);
  }
  const auto& own = job.ranks.front().iterations;
  for (std::size_t i = 0; i + 1 < job.iterations.size(); ++i) {
    if (own[i].end == own[i + 1].begin) {  // none was left out between them
      job.iterations[i].end = job.iterations[i + 1].begin;
    }
  }
  for (const auto& iteration : job.iterations) {
    if (iteration.begin >= iteration.end) {
      throw_bad_input("an iteration takes no time", job.ranks.front().trace.file,
                      "check --iteration");
    }
  }
  return job;
}

}  // namespace perwatt::training
