#include "perwatt/training/rank_timeline.hpp"

#include <algorithm>
#include <cctype>
#include <tuple>

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
        works_.emplace_back(trace.works[i].correlation, i);
      }
    }
    std::sort(works_.begin(), works_.end());
  }

  /// The span of what `keep` admits of the work launched in `cpu`.
  template <class Keep>
  std::optional<TimeSpan> span(const TimeSpan& cpu, const Keep& keep) const {
    std::optional<TimeSpan> span;
    auto launch = std::lower_bound(trace_.launches.begin(), trace_.launches.end(), cpu.begin,
                                   [](const Launch& l, Instant at) { return l.at < at; });
    for (; launch != trace_.launches.end() && launch->at <= cpu.end; ++launch) {
      auto work = std::lower_bound(works_.begin(), works_.end(),
                                   std::pair{launch->correlation, std::size_t{0}});
      // One launch may give several (graphs).
      for (; work != works_.end() && work->first == launch->correlation; ++work) {
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
  std::vector<std::pair<std::int64_t, std::size_t>> works_;  // by correlation
};

class TimelineBuilder {
 public:
  TimelineBuilder(RankTrace trace, const TimelineOptions& options) : options_{options} {
    timeline_.trace = std::move(trace);
    classify();
    find_compute_stream();
  }

  RankTimeline build() {
    const LaunchedWork launched{timeline_.trace};
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

  /// The annotations that `name` stands for by the work launched between their begin and end on the
  /// CPU, by any thread: Kineto's projection on the GPU lacks what another thread launched, which
  /// backward kernels are. Empty where the trace has no such annotation or launch.
  template <class Keep>
  [[nodiscard]] std::vector<Match> matches_by_launch(std::string_view name,
                                                     const LaunchedWork& launched,
                                                     const Keep& keep) const {
    std::vector<Match> matches;
    std::optional<Instant> until;
    for (const auto& annotation : chosen(timeline_.trace.cpu_annotations, names_of(name))) {
      if (until && annotation.span.end <= *until) {
        continue;  // inside the one before, to which it belongs
      }
      until = annotation.span.end;
      if (const auto span = launched.span(annotation.span, keep)) {
        matches.push_back({*span, annotation.name, {}});
      }
    }
    return matches;
  }

  /// The annotations on the GPU that `name` stands for, each joined over its streams: those of one
  /// external id, or where that is not known, those that overlap.
  [[nodiscard]] std::vector<Match> joined_on_gpu(std::string_view name) const {
    std::vector<Match> matches;
    std::map<std::pair<std::uint32_t, std::int64_t>, std::size_t> latest;
    for (const auto& annotation : matches_on_gpu(name)) {
      const bool has_id = annotation.external > 0;
      const auto [found, is_new] =
          latest.try_emplace({annotation.name, has_id ? annotation.external : 0}, matches.size());
      if (!is_new && (has_id || annotation.span.begin < matches[found->second].span.end)) {
        auto& span = matches[found->second].span;
        span = joined(span, annotation.span);
        continue;
      }
      found->second = matches.size();
      matches.push_back({annotation.span, annotation.name, {}});
    }
    return matches;
  }

  /// Iterations by annotation; one iteration of all work where nothing is annotated.
  void find_iterations(const LaunchedWork& launched) {
    const auto& name = options_.names.iteration;
    auto found = matches_by_launch(name, launched, [](std::size_t) { return true; });
    if (found.empty()) {
      found = joined_on_gpu(name);
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const Match& a, const Match& b) { return a.span.begin < b.span.begin; });
    std::map<std::uint32_t, int> occurrences;
    for (const auto& match : found) {
      timeline_.iterations.push_back(match.span);
      timeline_.iteration_names.push_back(
          {timeline_.trace.names[match.name], occurrences[match.name]++});
    }
    if (found.empty()) {
      timeline_.iterations.push_back(all_work());
      timeline_.iteration_names.emplace_back();
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

  [[nodiscard]] std::vector<Match> matches_of(const std::string& name,
                                              const LaunchedWork& launched) {
    auto matches = matches_by_launch(name, launched, [this](std::size_t w) { return counts(w); });
    if (!matches.empty()) {
      return matches;
    }
    for (const auto& annotation : matches_on_gpu(name)) {
      if (annotation.stream == timeline_.compute_stream || annotation.stream < 0) {
        if (const auto span = within(annotation.span)) {
          matches.push_back({*span, annotation.name, {}});
        }
      }
    }
    is_projected_ = is_projected_ || !matches.empty();
    return matches;
  }

  void find_operations(const LaunchedWork& launched) {
    std::vector<Match> matches;
    for (const auto& [instruction, names] : options_.names.instructions) {
      for (const auto& name : names) {
        for (auto& match : matches_of(name, launched)) {
          match.instruction = instruction;
          matches.push_back(std::move(match));
        }
      }
    }
    if (is_projected_) {
      timeline_.trace.notes.push_back(
          timeline_.trace.file +
          ": instructions are those of annotations on the GPU, which lack what other threads "
          "launched (kernels of a backward): profile CPU activity too");
    }
    // An annotation inside another belongs to it: a forward that a backward repeats.
    std::stable_sort(matches.begin(), matches.end(), [](const Match& a, const Match& b) {
      return a.span.begin < b.span.begin ||
             (a.span.begin == b.span.begin && a.span.end > b.span.end);
    });
    std::map<std::pair<std::size_t, std::string>, int> count;
    Instant until = Instant::from_nanoseconds(-1);
    for (const auto& match : matches) {
      const auto iteration = timeline_.iteration_of(match.span.begin);
      if (match.span.begin < until || !iteration) {
        continue;
      }
      until = match.span.end;
      const auto microbatch = count[{*iteration, match.instruction}]++;
      timeline_.operations.push_back(
          {match.instruction, static_cast<int>(*iteration), microbatch, match.span});
    }
  }

  const TimelineOptions& options_;
  RankTimeline timeline_;
  bool is_projected_ = false;  // an instruction is known by annotations on the GPU only
};

/// A stretch of iterations that follow each other on every rank.
struct Stretch {
  std::vector<std::size_t> first;  // by rank: index of the first iteration
  std::size_t count = 0;
};

/// Leaves the rank with the iterations [first, first + count).
void keep_iterations(RankTimeline& timeline, std::size_t first, std::size_t count) {
  const auto keep = [&](auto& list) {
    list.erase(list.begin() + static_cast<std::ptrdiff_t>(first + count), list.end());
    list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(first));
  };
  keep(timeline.iterations);
  keep(timeline.iteration_names);
  for (auto& operation : timeline.operations) {
    operation.iteration -= static_cast<int>(first);
  }
  std::erase_if(timeline.operations, [&](const TimedOperation& operation) {
    return operation.iteration < 0 || operation.iteration >= static_cast<int>(count);
  });
}

/// `first` is the first trace that says the size. REQUIRES: both say it.
void check_world_size(const RankTrace& trace, const RankTrace& first,
                      const std::optional<RankLayout>& layout) {
  const auto size = "the trace is of a job of " + std::to_string(*trace.world_size) + " ranks";
  if (layout && *trace.world_size != layout->ranks()) {
    throw_bad_input(size + ", the layout of one of " + std::to_string(layout->ranks()), trace.file,
                    "give --stages, --tensor, --context and --data that multiply to the former");
  }
  if (trace.world_size != first.world_size) {
    throw_bad_input(size + ", " + first.file + " of one of " + std::to_string(*first.world_size),
                    trace.file, "give the traces of one run");
  }
  if (*trace.rank >= *trace.world_size) {
    throw_bad_input(size + " and rank " + std::to_string(*trace.rank) + " is none of them",
                    trace.file, "check --ranks, or export the trace again");
  }
}

void check_ranks(const std::vector<RankTrace>& traces, const std::optional<RankLayout>& layout) {
  std::map<int, std::string> files;
  const RankTrace* sized = nullptr;
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
    if (trace.world_size) {
      sized = sized != nullptr ? sized : &trace;
      check_world_size(trace, *sized, layout);
    }
    if (layout && *trace.rank >= layout->ranks()) {
      throw_bad_input("rank " + std::to_string(*trace.rank) + " is none of the layout's " +
                          std::to_string(layout->ranks()),
                      trace.file, "check --stages, --tensor, --context and --data");
    }
  }
}

using IterationIndex = std::map<IterationName, std::size_t>;

IterationIndex index_of(const RankTimeline& rank) {
  IterationIndex index;
  for (std::size_t i = 0; i < rank.iteration_names.size(); ++i) {
    index.emplace(rank.iteration_names[i], i);
  }
  return index;
}

/// The k-th of a name is the same iteration on all ranks only where all have as many.
void check_repeated(const RankTimeline& rank, const RankTimeline& first) {
  const auto counts = [](const RankTimeline& timeline) {
    std::map<std::string, int> count;
    for (const auto& name : timeline.iteration_names) {
      ++count[name.annotation];
    }
    return count;
  };
  auto of_first = counts(first);
  for (const auto& [annotation, count] : counts(rank)) {
    const int other = of_first[annotation];
    if (count != other && other > 0 && std::max(count, other) > 1) {
      throw_bad_input("iteration '" + printable(annotation) + "' runs " + std::to_string(count) +
                          " times, in " + first.trace.file + " " + std::to_string(other) +
                          " times: which are the same is not known",
                      rank.trace.file,
                      "profile the same steps on every rank, or give each step its number");
    }
  }
}

/// The longest stretch, the earliest of several. `common` counts iterations that all ranks have.
Stretch longest_stretch(const std::vector<RankTimeline>& ranks, std::size_t& common) {
  std::vector<IterationIndex> indices;
  for (const auto& rank : ranks) {
    check_repeated(rank, ranks.front());
    indices.push_back(index_of(rank));
  }
  Stretch best;
  Stretch at;
  std::vector<std::size_t> last;
  for (const auto& name : ranks.front().iteration_names) {
    std::vector<std::size_t> here;
    for (const auto& index : indices) {
      if (const auto found = index.find(name); found != index.end()) {
        here.push_back(found->second);
      }
    }
    if (here.size() < ranks.size()) {
      continue;
    }
    ++common;
    bool follows = at.count > 0;
    for (std::size_t r = 0; r < here.size(); ++r) {
      if (!last.empty() && here[r] <= last[r]) {
        throw_bad_input("the iterations have another order than on the first rank",
                        ranks[r].trace.file, "give the traces of one run");
      }
      follows = follows && here[r] == last[r] + 1;
    }
    if (!follows) {
      at = {here, 0};
    }
    ++at.count;
    last = std::move(here);
    if (at.count > best.count) {
      best = at;
    }
  }
  if (best.count == 0) {
    throw_bad_input("the traces have no iteration in common", ranks.back().trace.file,
                    "profile the same steps on every rank");
  }
  return best;
}

void keep_common_iterations(JobTimeline& job) {
  std::size_t common = 0;
  const auto stretch = longest_stretch(job.ranks, common);
  for (std::size_t r = 0; r < job.ranks.size(); ++r) {
    keep_iterations(job.ranks[r], stretch.first[r], stretch.count);
  }
  if (stretch.count < common) {
    job.notes.push_back("of " + std::to_string(common) + " iterations that all ranks have, " +
                        std::to_string(stretch.count) +
                        " follow each other; the others are left out");
  }
  for (std::size_t i = 0; i < stretch.count; ++i) {
    auto span = job.ranks.front().iterations[i];
    for (const auto& rank : job.ranks) {
      span = joined(span, rank.iterations[i]);
    }
    if (i > 0) {
      job.iterations.back().end = span.begin;
    }
    job.iterations.push_back(span);
  }
  for (const auto& iteration : job.iterations) {
    if (iteration.begin >= iteration.end) {
      throw_bad_input("an iteration takes no time", job.ranks.front().trace.file,
                      "check --iteration");
    }
  }
}

/// Process groups that do not say all leave ranks in one place, and a pipeline with a wrong
/// partner.
void check_places(const JobTimeline& job) {
  std::map<std::tuple<int, int, int, int>, const RankTimeline*> places;
  for (const auto& rank : job.ranks) {
    const auto& place = rank.place;
    const auto [found, is_new] =
        places.emplace(std::tuple{place.stage, place.data, place.context, place.tensor}, &rank);
    if (!is_new) {
      throw_bad_input("ranks " + std::to_string(*found->second->trace.rank) + " and " +
                          std::to_string(*rank.trace.rank) +
                          " have the same place by their process groups",
                      rank.trace.file, "give --stages, with --tensor, --context and --data");
    }
  }
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

std::optional<std::size_t> RankTimeline::iteration_of(Instant at) const {
  const auto after = std::upper_bound(iterations.begin(), iterations.end(), at,
                                      [](Instant t, const TimeSpan& i) { return t < i.begin; });
  if (after == iterations.begin() || at >= std::prev(after)->end) {
    return std::nullopt;
  }
  return static_cast<std::size_t>(after - iterations.begin()) - 1;
}

TimeSpan JobTimeline::window() const {
  return {iterations.front().begin, iterations.back().end};
}

Periods JobTimeline::periods() const {
  if (iterations.size() == 1) {
    return {iterations.front(), 1};
  }
  return {{iterations.front().begin, iterations.back().begin}, iterations.size() - 1};
}

JobTimeline make_job_timeline(std::vector<RankTrace> traces, const TimelineOptions& options) {
  if (traces.size() == 1 && !traces.front().rank) {
    traces.front().rank = 0;
  }
  check_ranks(traces, options.layout);
  std::sort(traces.begin(), traces.end(),
            [](const RankTrace& a, const RankTrace& b) { return *a.rank < *b.rank; });
  JobTimeline job;
  job.stages = options.layout ? options.layout->stages : 1;
  job.are_stages_known = true;
  job.world_size = options.layout ? options.layout->ranks() : static_cast<int>(traces.size());
  job.is_world_size_known =
      options.layout || std::all_of(traces.begin(), traces.end(), [](const RankTrace& trace) {
        return trace.world_size.has_value();
      });
  for (auto& trace : traces) {
    auto place = options.layout ? options.layout->place(*trace.rank) : RankPlace{};
    if (!options.layout) {
      const auto found = place_by_groups(trace);
      place = found.place;
      job.stages = std::max(job.stages, found.stages);
      job.are_stages_known = job.are_stages_known && found.has_pipeline_group;
      job.world_size = std::max({job.world_size, trace.world_size.value_or(1), *trace.rank + 1});
    }
    job.ranks.push_back(TimelineBuilder{std::move(trace), options}.build());
    auto& rank = job.ranks.back();
    rank.place = place;
    job.notes.insert(job.notes.end(), rank.trace.notes.begin(), rank.trace.notes.end());
  }
  if (job.stages > 1) {
    check_places(job);
  }
  keep_common_iterations(job);
  return job;
}

}  // namespace perwatt::training
