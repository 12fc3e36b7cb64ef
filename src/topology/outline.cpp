#include "perwatt/topology/outline.hpp"

#include <unordered_map>
#include <utility>

namespace perwatt::topology {

namespace {

void append(std::string& key, const void* bytes, std::size_t size) {
  key.append(static_cast<const char*>(bytes), size);
}

void append(std::string& key, double value) {
  append(key, &value, sizeof value);
}

void append(std::string& key, std::uint32_t value) {
  append(key, &value, sizeof value);
}

void append(std::string& key, const std::string& text) {
  append(key, static_cast<std::uint32_t>(text.size()));
  key += text;
}

template <class T>
void append(std::string& key, const std::optional<T>& value) {
  key += value ? '1' : '0';
  if constexpr (std::is_enum_v<T>) {
    append(key, static_cast<std::uint32_t>(value.value_or(T{})));
  } else {
    append(key, value.value_or(T{}).in_base());
  }
}

void append_limits(std::string& key, const std::vector<Limit>& limits) {
  append(key, static_cast<std::uint32_t>(limits.size()));
  for (const auto& limit : limits) {
    append(key, static_cast<std::uint32_t>(limit.kind));
    append(key, limit.power.in_base());
    append(key, limit.window.in_base());
    append(key, limit.phase);
    key += limit.curve ? '1' : '0';
    for (const auto& point : limit.curve ? limit.curve->points : std::vector<TripPoint>{}) {
      append(key, point.ratio);
      append(key, point.time.in_base());
    }
    key += ';';
  }
}

/// Numbers nodes and devices so that two are alike when and only when their numbers are equal.
class Likeness {
 public:
  Likeness(const PowerTree& tree, const KnownDraws& draws, const FiguresBeside* beside)
      : tree_{tree},
        draws_{draws},
        beside_{beside},
        nodes_(tree.nodes().size()),
        devices_(tree.devices().size()) {
    for (std::uint32_t d = 0; d < devices_.size(); ++d) {
      devices_[d] = number(key_of(DeviceIndex{d}));
    }
    for (std::size_t n = nodes_.size(); n-- > 0;) {
      nodes_[n] = number(key_of(NodeIndex{static_cast<std::uint32_t>(n)}));
    }
  }

  [[nodiscard]] std::uint32_t of(NodeIndex n) const { return nodes_[n.value]; }

  [[nodiscard]] std::uint32_t of(DeviceIndex d) const { return devices_[d.value]; }

 private:
  std::uint32_t number(std::string key) {
    return numbers_.emplace(std::move(key), static_cast<std::uint32_t>(numbers_.size()))
        .first->second;
  }

  [[nodiscard]] std::string key_of(DeviceIndex d) const {
    const auto& device = tree_.device(d);
    std::string key = "d";
    for (const Watts power : {device.min, device.max, device.guaranteed}) {
      append(key, power.in_base());
    }
    append(key, device.fail_safe);
    append(key, device.vendor);
    append(key, device.accelerator);
    append(key, device.curve);
    append(key, draws_.devices[d.value]);
    append_beside(key, &FiguresBeside::devices, d.value);
    return key;
  }

  [[nodiscard]] std::string key_of(NodeIndex n) const {
    const auto& node = tree_.node(n);
    std::string key = "n";
    append(key, static_cast<std::uint32_t>(node.kind));
    append(key, node.factor);
    append(key, node.fixed.in_base());
    append(key, node.feed);
    append(key, node.phase);
    append(key, node.meter);
    append_limits(key, node.limits);
    for (const auto& supply : node.supplies) {
      append(key, supply.share_ratio);
    }
    append(key, draws_.nodes[n.value]);
    append_beside(key, &FiguresBeside::nodes, n.value);
    key += ':';
    const auto devices = tree_.devices_of(n);
    for (auto d = devices.first.value; d < devices.end.value; ++d) {
      append(key, devices_[d]);
    }
    key += ':';
    for (const auto child : tree_.children(n)) {
      append(key, nodes_[child.value]);
    }
    return key;
  }

  void append_beside(std::string& key, std::vector<double> FiguresBeside::*figures,
                     std::size_t index) const {
    if (beside_ != nullptr) {
      append(key, static_cast<double>(static_cast<float>((beside_->*figures)[index])));
    }
  }

  const PowerTree& tree_;
  const KnownDraws& draws_;
  const FiguresBeside* beside_;
  std::vector<std::uint32_t> nodes_;
  std::vector<std::uint32_t> devices_;
  std::unordered_map<std::string, std::uint32_t> numbers_;
};

std::string last_part(const std::string& id, const std::string& parent) {
  const bool has_parent =
      id.size() > parent.size() + 1 && id.compare(0, parent.size(), parent) == 0;
  return has_parent && id[parent.size()] == '/' ? id.substr(parent.size() + 1) : id;
}

class OutlineWalk {
 public:
  OutlineWalk(const PowerTree& tree, const KnownDraws& draws, bool all, const FiguresBeside* beside)
      : tree_{tree}, all_{all} {
    if (!all_) {
      likeness_.emplace(tree, draws, beside);
    }
  }

  std::vector<OutlineLine> lines() {
    open_.push_back({0, {0}, std::nullopt, tree_.node({0}).id, "", 1});
    while (!open_.empty()) {
      lines_.push_back(std::move(open_.back()));
      open_.pop_back();
      if (!lines_.back().device) {
        add_below(lines_.back().depth + 1, lines_.back().node);
      }
    }
    return std::move(lines_);
  }

 private:
  void add_below(std::size_t depth, NodeIndex n) {
    const auto& parent = tree_.node(n).id;
    const auto devices = tree_.devices_of(n);
    std::vector<OutlineLine> below;
    const auto add = [&](OutlineLine line, bool is_like_the_last) {
      if (is_like_the_last) {
        ++below.back().alike;
        below.back().last_id = std::move(line.id);
      } else {
        below.push_back(std::move(line));
      }
    };
    for (auto d = devices.first.value; d < devices.end.value; ++d) {
      const bool is_like = !all_ && d > devices.first.value &&
                           likeness_->of(DeviceIndex{d}) == likeness_->of(DeviceIndex{d - 1});
      add({depth, n, DeviceIndex{d}, last_part(tree_.device({d}).id, parent), "", 1}, is_like);
    }
    std::optional<NodeIndex> before;
    for (const auto child : tree_.children(n)) {
      const bool is_like = !all_ && before && likeness_->of(*before) == likeness_->of(child);
      add({depth, child, std::nullopt, last_part(tree_.node(child).id, parent), "", 1}, is_like);
      before = child;
    }
    open_.insert(open_.end(), std::make_move_iterator(below.rbegin()),
                 std::make_move_iterator(below.rend()));
  }

  const PowerTree& tree_;
  bool all_;
  std::optional<Likeness> likeness_;
  std::vector<OutlineLine> open_;
  std::vector<OutlineLine> lines_;
};

}  // namespace

LineFigures figures_of(const PowerTree& tree, const NodeLoads& maximum, const KnownDraws& draws,
                       const OutlineLine& line) {
  LineFigures figures;
  if (line.device) {
    const auto& device = tree.device(*line.device);
    figures.limit = device.max;
    figures.draw = draws.devices[line.device->value];
    figures.at_maximum = device.max;
  } else {
    figures.draw = draws.nodes[line.node.value];
    figures.at_maximum = maximum.supply[line.node.value];
    for (const auto& limit : tree.node(line.node).limits) {
      if (!limit.phase && (figures.set_by == nullptr || limit.power < figures.set_by->power)) {
        figures.set_by = &limit;
        figures.limit = limit.power;
      }
    }
  }
  if (figures.limit && figures.draw) {
    figures.headroom = *figures.limit - *figures.draw;
  }
  if (figures.limit && *figures.limit > Watts{}) {
    figures.use_ratio = figures.draw.value_or(figures.at_maximum) / *figures.limit;
  }
  return figures;
}

std::vector<OutlineLine> outline(const PowerTree& tree, const KnownDraws& draws, bool all,
                                 const FiguresBeside* beside) {
  return OutlineWalk{tree, draws, all, beside}.lines();
}

}  // namespace perwatt::topology
