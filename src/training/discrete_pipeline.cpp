#include "discrete_pipeline.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace perwatt::training {

DiscretePipeline::DiscretePipeline(const Pipeline& pipeline,
                                   const std::vector<std::uint32_t>& topological)
    : operation_{topological} {
  for (const auto& work : pipeline.works) {
    auto& settings = settings_.emplace_back();
    settings.reserve(work.options.size());
    for (const auto& option : work.options) {
      settings.push_back({to_picoseconds(option.time),
                          std::llround(option.effective_energy.in_base() / kNanojoule)});
    }
  }
  const auto count = topological.size();
  std::vector<std::uint32_t> rank(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    rank[topological[i]] = i;
    work_.push_back(pipeline.operations[topological[i]].work);
  }
  const auto list = [&](std::vector<std::uint32_t>& first, std::vector<Link>& links,
                        bool is_after) {
    first.assign(count + 1, 0);
    const auto from = [&](const Dependency& d) { return rank[is_after ? d.before : d.after]; };
    const auto to = [&](const Dependency& d) { return rank[is_after ? d.after : d.before]; };
    for (const auto& dependency : pipeline.dependencies) {
      ++first[from(dependency) + 1];
    }
    for (std::size_t i = 0; i < count; ++i) {
      first[i + 1] += first[i];
    }
    links.resize(pipeline.dependencies.size());
    auto next = first;
    for (const auto& dependency : pipeline.dependencies) {
      links[next[from(dependency)]++] = {to(dependency), to_picoseconds(dependency.delay)};
    }
  };
  list(first_after_, after_, true);
  list(first_before_, before_, false);
}

std::uint32_t DiscretePipeline::slowest_within(std::size_t rank, Picoseconds window) const {
  const auto& settings = settings_[work_[rank]];
  const auto fits = std::partition_point(settings.begin(), settings.end() - 1,
                                         [&](const Setting& s) { return s.time > window; });
  return static_cast<std::uint32_t>(fits - settings.begin());
}

Nanojoules DiscretePipeline::energy(const Choice& choice) const {
  Nanojoules sum = 0;
  for (std::size_t rank = 0; rank < choice.size(); ++rank) {
    sum += chosen(choice, rank).energy;
  }
  return sum;
}

void DiscretePipeline::push_begin(std::size_t rank, Picoseconds end,
                                  std::vector<Picoseconds>& begin) const {
  for (auto i = first_after_[rank]; i < first_after_[rank + 1]; ++i) {
    begin[after_[i].rank] = std::max(begin[after_[i].rank], end + after_[i].delay);
  }
}

void DiscretePipeline::pull_end(std::size_t rank, Picoseconds begin,
                                std::vector<Picoseconds>& ends) const {
  for (auto i = first_before_[rank]; i < first_before_[rank + 1]; ++i) {
    ends[before_[i].rank] = std::min(ends[before_[i].rank], begin - before_[i].delay);
  }
}

Picoseconds DiscretePipeline::begin_early(const Choice& choice,
                                          std::vector<Picoseconds>& begin) const {
  begin.assign(size(), 0);
  Picoseconds last = 0;
  for (std::size_t rank = 0; rank < size(); ++rank) {
    const auto end = begin[rank] + chosen(choice, rank).time;
    last = std::max(last, end);
    push_begin(rank, end, begin);
  }
  return last;
}

void DiscretePipeline::end_late(const Choice& choice, Picoseconds end,
                                std::vector<Picoseconds>& ends) const {
  ends.assign(size(), end);
  for (auto rank = size(); rank-- > 0;) {
    pull_end(rank, ends[rank] - chosen(choice, rank).time, ends);
  }
}

void DiscretePipeline::reclaim_forward(Choice& choice, Picoseconds end) const {
  std::vector<Picoseconds> ends;
  end_late(choice, end, ends);
  std::vector<Picoseconds> begin(size(), 0);
  for (std::size_t rank = 0; rank < size(); ++rank) {
    choice[rank] = std::min(choice[rank], slowest_within(rank, ends[rank] - begin[rank]));
    push_begin(rank, begin[rank] + chosen(choice, rank).time, begin);
  }
}

void DiscretePipeline::reclaim_backward(Choice& choice, Picoseconds end) const {
  std::vector<Picoseconds> begin;
  begin_early(choice, begin);
  std::vector<Picoseconds> ends(size(), end);
  for (auto rank = size(); rank-- > 0;) {
    choice[rank] = std::min(choice[rank], slowest_within(rank, ends[rank] - begin[rank]));
    pull_end(rank, ends[rank] - chosen(choice, rank).time, ends);
  }
}

}  // namespace perwatt::training
