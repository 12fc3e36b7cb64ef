#include "perwatt/training/rank_layout.hpp"

#include <algorithm>
#include <cctype>
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
  FoundPlace found;
  std::array<bool, kParallelisms> is_taken{};
  for (const auto& group : trace.groups) {
    const auto kind = parallelism_of(group.description);
    const auto self = std::find(group.ranks.begin(), group.ranks.end(), *trace.rank);
    if (!kind || self == group.ranks.end() || is_taken[static_cast<std::size_t>(*kind)]) {
      continue;
    }
    is_taken[static_cast<std::size_t>(*kind)] = true;
    const auto index = static_cast<int>(self - group.ranks.begin());
    switch (*kind) {
      case Parallelism::pipeline:
        found.place.stage = index;
        found.stages = static_cast<int>(group.ranks.size());
        break;
      case Parallelism::tensor:
        found.place.tensor = index;
        break;
      case Parallelism::context:
        found.place.context = index;
        break;
      case Parallelism::data:
        found.place.data = index;
        break;
      default:
        break;
    }
  }
  return found;
}

}  // namespace perwatt::training
