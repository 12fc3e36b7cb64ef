#include "perwatt/training/rank_layout.hpp"

#include <algorithm>
#include <cctype>
#include <set>
#include <string>
#include <utility>

#include "perwatt/base/text.hpp"

namespace perwatt::training {

namespace {

constexpr std::array<std::pair<std::string_view, Parallelism>, 11> kWords = {{
    {"pipeline", Parallelism::pipeline},
    {"pp", Parallelism::pipeline},
    {"tensor", Parallelism::tensor},
    {"tp", Parallelism::tensor},
    {"context", Parallelism::context},
    {"cp", Parallelism::context},
    {"expert", Parallelism::expert},
    {"ep", Parallelism::expert},
    {"data", Parallelism::data},
    {"dp", Parallelism::data},
    {"fsdp", Parallelism::data},
}};

constexpr std::int64_t kMostRanks = 100'000'000;

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      words.back() += c;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  return words;
}

/// By the only index in which ranks of the group differ; data and context together are data.
Parallelism by_ranks(const std::vector<int>& ranks, const RankLayout& layout) {
  bool stage = false;
  bool tensor = false;
  bool context = false;
  bool data = false;
  for (const auto rank : ranks) {
    const auto a = layout.place(ranks.front());
    const auto b = layout.place(rank);
    stage |= a.stage != b.stage;
    tensor |= a.tensor != b.tensor;
    context |= a.context != b.context;
    data |= a.data != b.data;
  }
  if (stage + tensor + (context || data ? 1 : 0) != 1) {
    return Parallelism::other;
  }
  return stage    ? Parallelism::pipeline
         : tensor ? Parallelism::tensor
         : data   ? Parallelism::data
                  : Parallelism::context;
}

/// The kinds that a description names.
std::set<Parallelism> kinds_of(std::string_view description) {
  std::set<Parallelism> kinds;
  for (const auto& word : words_of(lower_case(description))) {
    for (const auto& [known, kind] : kWords) {
      if (known == word) {
        kinds.insert(kind);
      }
    }
  }
  return kinds;
}

bool contains(const std::vector<int>& ranks, int rank) {
  return std::find(ranks.begin(), ranks.end(), rank) != ranks.end();
}

int index_in(const std::vector<int>& ranks, int rank) {
  return static_cast<int>(std::find(ranks.begin(), ranks.end(), rank) - ranks.begin());
}

/// Index of the rank over the groups that meet in it alone (replicas and shards of a mesh); a group
/// that shares more with an earlier one is another view of the same ranks.
int combined_index(const std::vector<const ProcessGroup*>& groups, int rank) {
  std::int64_t index = 0;
  std::set<int> taken;
  for (const auto* group : groups) {
    const bool is_new = std::none_of(group->ranks.begin(), group->ranks.end(), [&](int other) {
      return other != rank && taken.contains(other);
    });
    const auto size = static_cast<std::int64_t>(group->ranks.size());
    if (is_new && (index + 1) * size < kMostRanks) {
      taken.insert(group->ranks.begin(), group->ranks.end());
      index = index * size + index_in(group->ranks, rank);
    }
  }
  return static_cast<int>(index);
}

}  // namespace

std::string_view to_string(Parallelism parallelism) {
  static constexpr std::array<std::string_view, kParallelisms> kNames = {
      "tensor", "context", "expert", "data", "pipeline", "other"};
  return kNames[static_cast<std::size_t>(parallelism)];
}

RankPlace RankLayout::place(int rank) const {
  RankPlace place;
  place.tensor = rank % tensor;
  rank /= tensor;
  place.context = rank % context;
  rank /= context;
  place.data = rank % data;
  place.stage = rank / data;
  return place;
}

std::optional<Parallelism> parallelism_of(std::string_view description) {
  std::optional<Parallelism> first;
  for (const auto& word : words_of(lower_case(description))) {
    const auto found = std::find_if(kWords.begin(), kWords.end(),
                                    [&](const auto& entry) { return entry.first == word; });
    if (found == kWords.end()) {
      continue;
    }
    if (!first) {
      first = found->second;
    } else if (first == Parallelism::expert && found->second == Parallelism::data) {
      return Parallelism::data;  // replicas of experts
    }
  }
  return first;
}

std::vector<Parallelism> parallelisms_of(const RankTrace& trace,
                                         const std::optional<RankLayout>& layout) {
  std::vector<Parallelism> kinds;
  for (const auto& group : trace.groups) {
    const bool is_known = layout && group.ranks.size() > 1 &&
                          std::all_of(group.ranks.begin(), group.ranks.end(),
                                      [&](int rank) { return rank < layout->ranks(); });
    kinds.push_back(parallelism_of(group.description)
                        .value_or(is_known ? by_ranks(group.ranks, *layout) : Parallelism::other));
  }
  return kinds;
}

FoundPlace place_by_groups(const RankTrace& trace) {
  std::array<std::vector<const ProcessGroup*>, kParallelisms> groups;
  for (const bool may_be_mixed : {false, true}) {
    std::array<std::vector<const ProcessGroup*>, kParallelisms> more;
    for (const auto& group : trace.groups) {
      const auto kinds = kinds_of(group.description);
      if (!kinds.empty() && (kinds.size() > 1) == may_be_mixed &&
          contains(group.ranks, *trace.rank)) {
        more[static_cast<std::size_t>(*parallelism_of(group.description))].push_back(&group);
      }
    }
    for (std::size_t k = 0; k < kParallelisms; ++k) {
      if (groups[k].empty()) {
        groups[k] = std::move(more[k]);
      }
    }
  }
  const auto first_index = [&](Parallelism kind) {
    const auto& of_kind = groups[static_cast<std::size_t>(kind)];
    return of_kind.empty() ? 0 : index_in(of_kind.front()->ranks, *trace.rank);
  };
  FoundPlace found;
  found.place.stage = first_index(Parallelism::pipeline);
  found.place.tensor = first_index(Parallelism::tensor);
  found.place.context = first_index(Parallelism::context);
  found.place.data =
      combined_index(groups[static_cast<std::size_t>(Parallelism::data)], *trace.rank);
  const auto& pipelines = groups[static_cast<std::size_t>(Parallelism::pipeline)];
  found.has_pipeline_group = !pipelines.empty();
  if (found.has_pipeline_group) {
    found.stages = static_cast<int>(pipelines.front()->ranks.size());
  }
  return found;
}

}  // namespace perwatt::training
