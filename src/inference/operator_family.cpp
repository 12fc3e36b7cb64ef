#include "perwatt/inference/operator_family.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "operator_spread.hpp"

#include "perwatt/base/error.hpp"
#include "perwatt/base/text.hpp"

namespace perwatt::inference {

namespace {

constexpr double kTrustedPowerSeconds = 0.3e-3;
constexpr double kContextAxisPower = 1.5;  // between the linear and the quadratic part of attention

bool is_context(Operator op) {
  return op == Operator::context_attention || op == Operator::context_mla ||
         op == Operator::mla_context_module;
}

template <std::size_t Size>
void check_positive(const std::array<double, Size>& numbers, Operator op) {
  for (const double number : numbers) {
    if (!(number > 0) || !std::isfinite(number)) {
      throw_bad_input(
          "a shape of " + std::string{to_string(op)} + " has the number " + shortest(number), "",
          "give positive, finite sizes");
    }
  }
}

}  // namespace

std::string_view to_string(OperatorRelation relation) {
  constexpr std::array<std::string_view, 4> kRelationNames = {"measured", "interpolated", "held",
                                                              "borrowed"};
  return kRelationNames.at(static_cast<std::size_t>(relation));
}

Tag tag_of(OperatorRelation relation) {
  switch (relation) {
    case OperatorRelation::measured:
      return Tag::measured;
    case OperatorRelation::interpolated:
      return Tag::interpolated;
    case OperatorRelation::held:
    case OperatorRelation::borrowed:
      break;
  }
  return Tag::modelled;
}

OperatorFamily::OperatorFamily(Operator op, OperatorFormat format, OperatorRates rates,
                               std::vector<OperatorRow> rows)
    : op_{op}, format_{std::move(format)}, rates_{rates}, rows_{std::move(rows)} {
  floor_seconds_ = std::numeric_limits<double>::max();
  std::vector<std::pair<Query, const OperatorRow*>> order;
  order.reserve(rows_.size());
  for (const auto& row : rows_) {
    order.emplace_back(query_of(row.shape), &row);
    floor_seconds_ = std::min(floor_seconds_, in_seconds(row.latency));
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first.key, a.first.level, a.first.split, a.first.place) <
           std::tie(b.first.key, b.first.level, b.first.split, b.first.place);
  });
  for (const auto& [query, row] : order) {
    if (sites_.empty() || sites_.back().key != query.key) {
      sites_.push_back({query.key, coordinates_of(query.key), {}});
    }
    auto& lines = sites_.back().lines;
    if (lines.empty() || lines.back().level != query.level) {
      lines.push_back({query.level, std::log2(query.level), {}});
    }
    auto& curves = lines.back().curves;
    if (curves.empty() || curves.back().split != query.split) {
      curves.push_back({query.split, {}});
    }
    auto& nodes = curves.back().nodes;
    const Node node{query.place, std::log2(query.place), axis_of(query.place),
                    in_seconds(row->latency), row->power ? in_watts(*row->power) : 0.0};
    if (!nodes.empty() && nodes.back().place == query.place) {
      nodes.back() = node;
    } else {
      nodes.push_back(node);
    }
  }
}

OperatorFamily::Query OperatorFamily::query_of(const OperatorShape& shape) const {
  if (const auto* s = std::get_if<GemmShape>(&shape); s != nullptr && op_ == Operator::gemm) {
    check_positive(std::array{s->m, s->n, s->k}, op_);
    return {{s->n, s->k}, 1, 1, s->m};
  }
  const bool attends = op_ == Operator::context_attention || op_ == Operator::generation_attention;
  if (const auto* s = std::get_if<AttentionKernelShape>(&shape); s != nullptr && attends) {
    check_positive(std::array{s->batch, s->sequence, s->heads, s->kv_heads}, op_);
    return {{s->heads / s->kv_heads}, s->batch * s->kv_heads, s->kv_heads, s->sequence};
  }
  const bool is_latent = op_ == Operator::context_mla || op_ == Operator::generation_mla ||
                         op_ == Operator::mla_context_module ||
                         op_ == Operator::mla_generation_module;
  if (const auto* s = std::get_if<MlaShape>(&shape); s != nullptr && is_latent) {
    check_positive(std::array{s->batch, s->sequence, s->heads}, op_);
    return {{s->heads}, s->batch, 1, s->sequence};
  }
  if (const auto* s = std::get_if<MlaBmmShape>(&shape); s != nullptr && op_ == Operator::mla_bmm) {
    check_positive(std::array{s->tokens, s->heads}, op_);
    return {{s->heads}, 1, 1, s->tokens};
  }
  if (const auto* s = std::get_if<MoeShape>(&shape); s != nullptr && op_ == Operator::moe) {
    check_positive(std::array{s->tokens, s->hidden, s->inter, s->topk, s->experts,
                              s->tensor_parallel, s->expert_parallel},
                   op_);
    return {{s->hidden, s->inter, s->topk, s->experts, s->tensor_parallel, s->expert_parallel},
            1,
            1,
            s->tokens};
  }
  throw_bad_input("the shape is not one of " + std::string{to_string(op_)}, "",
                  "give the shape of that operator");
}

OperatorShape OperatorFamily::shape_of(const Query& query) const {
  const auto& key = query.key;
  switch (op_) {
    case Operator::gemm:
      return GemmShape{query.place, key[0], key[1]};
    case Operator::context_attention:
    case Operator::generation_attention:
      return AttentionKernelShape{query.level / query.split, query.place, key[0] * query.split,
                                  query.split};
    case Operator::context_mla:
    case Operator::generation_mla:
    case Operator::mla_context_module:
    case Operator::mla_generation_module:
      return MlaShape{query.level, query.place, key[0]};
    case Operator::mla_bmm:
      return MlaBmmShape{query.place, key[0]};
    case Operator::moe:
      break;
  }
  return MoeShape{query.place, key[0], key[1], key[2], key[3], key[4], key[5]};
}

double OperatorFamily::light_seconds(const Query& query) const {
  return in_seconds(speed_of_light(operator_work(op_, format_, shape_of(query)), rates_));
}

double OperatorFamily::axis_of(double place) const {
  return is_context(op_) ? std::pow(place, kContextAxisPower) : place;
}

std::array<double, OperatorFamily::kCoordinates> OperatorFamily::coordinates_of(
    const Key& key) const {
  std::array<double, kCoordinates> result{};
  if (op_ == Operator::moe) {
    return {std::log2(key[0]), std::log2(key[1] / key[4]), std::log2(key[2]),
            std::log2(key[3] / key[5]), std::log2(key[5])};
  }
  const std::size_t count = op_ == Operator::gemm ? 2 : 1;
  std::transform(key.begin(), key.begin() + static_cast<std::ptrdiff_t>(count), result.begin(),
                 [](double size) { return std::log2(size); });
  return result;
}

const OperatorFamily::Site* OperatorFamily::find_site(const Key& key) const {
  const auto found = std::lower_bound(sites_.begin(), sites_.end(), key,
                                      [](const Site& site, const Key& k) { return site.key < k; });
  return found == sites_.end() || found->key != key ? nullptr : &*found;
}

const OperatorFamily::Node* OperatorFamily::find_node(const Query& query) const {
  for (const auto& line : find_site(query.key)->lines) {
    for (const auto& curve : line.curves) {
      if (line.level != query.level || curve.split != query.split) {
        continue;
      }
      for (const auto& node : curve.nodes) {
        if (node.place == query.place) {
          return &node;
        }
      }
    }
  }
  return nullptr;
}

bool OperatorFamily::is_at_edge(std::size_t row) const {
  const auto query = query_of(rows_[row].shape);
  for (const auto& line : find_site(query.key)->lines) {
    for (const auto& curve : line.curves) {
      if (line.level == query.level && curve.split == query.split) {
        return curve.nodes.front().place == query.place || curve.nodes.back().place == query.place;
      }
    }
  }
  return true;
}

Result<OperatorEstimate> OperatorFamily::estimate(const OperatorShape& shape) const {
  return answer(query_of(shape), {});
}

Result<OperatorEstimate> OperatorFamily::estimate_without(std::size_t row, HoldOut hold_out) const {
  const auto query = query_of(rows_[row].shape);
  switch (hold_out) {
    case HoldOut::nothing:
      return answer(query, {});
    case HoldOut::row:
      return answer(query, {nullptr, find_node(query)});
    case HoldOut::site:
      break;
  }
  return answer(query, {find_site(query.key), nullptr});
}

Result<OperatorEstimate> OperatorFamily::answer(const Query& query, const Unknown& unknown) const {
  const auto* site = find_site(query.key);
  std::optional<Reading> reading;
  if (site != nullptr && site != unknown.site) {
    reading = in_site(*site, query, unknown.node);
  }
  if (!reading) {
    reading = borrowed(query, unknown);
  }
  if (!reading) {
    const bool is_known = site != nullptr && site != unknown.site;
    return Failure{std::string{to_string(op_)} + " " + format_.dtype +
                   (is_known ? ": tokens, sequence or batch too far outside the measured range"
                             : ": no measured site within two octaves of this shape")};
  }
  const double light = light_seconds(query);
  OperatorEstimate result;
  result.relation = reading->relation;
  result.octaves = reading->octaves;
  double time = reading->seconds;
  if (result.relation != OperatorRelation::measured) {
    time = std::max(time, light / std::max(kMostUtilisation, reading->most_utilisation));
  }
  result.latency = seconds(time);
  result.utilisation = light / time;
  if (reading->watts > 0 && time >= kTrustedPowerSeconds) {
    result.power = watts(reading->watts);
  }
  result.relative_half_width = half_width(op_, result.relation, result.octaves);
  return result;
}

}  // namespace perwatt::inference
