// The same problems as linear programs in full, for Clp.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include <ClpSimplex.hpp>
#include <CoinBuild.hpp>

#include "perwatt/allocate/problem.hpp"

namespace perwatt::allocate {

/// The greatest value, class by class from the highest; nothing when infeasible.
inline std::optional<std::vector<double>> best_by_program(const Problem& problem) {
  const auto devices = problem.devices();
  ClpSimplex simplex;
  simplex.setLogLevel(0);
  simplex.setOptimizationDirection(-1.0);
  simplex.setPrimalTolerance(1e-10);
  simplex.setDualTolerance(1e-10);
  std::vector<std::vector<int>> of_device(devices.size());
  std::vector<double> slopes;
  std::vector<Priority> classes;
  int columns = 0;
  for (std::size_t d = 0; d < devices.size(); ++d) {
    const auto curve = problem.curve(DeviceIndex{static_cast<std::uint32_t>(d)});
    for (std::size_t i = 1; i < curve.size(); ++i) {
      const double width = (curve[i].power - curve[i - 1].power).in_base();
      simplex.addColumn(0, nullptr, nullptr, 0.0, width, 0.0);
      of_device[d].push_back(columns++);
      slopes.push_back((curve[i].value - curve[i - 1].value) / width);
      classes.push_back(problem.policy() == Policy::priority ? devices[d].terms.priority : 0);
    }
  }
  const auto least = [&](std::size_t d) {
    return problem.curve(DeviceIndex{static_cast<std::uint32_t>(d)}).front().power.in_base();
  };
  const auto add_sum = [&](const std::vector<std::size_t>& members, double low, double high) {
    std::vector<int> index;
    double fixed = 0;
    for (const std::size_t d : members) {
      fixed += least(d);
      index.insert(index.end(), of_device[d].begin(), of_device[d].end());
    }
    const std::vector<double> ones(index.size(), 1.0);
    simplex.addRow(static_cast<int>(index.size()), index.data(), ones.data(), low - fixed,
                   high - fixed);
  };
  std::vector<std::vector<std::size_t>> below(problem.nodes().size());
  std::vector<std::vector<std::size_t>> caps(problem.cap_group_count());
  std::vector<std::vector<std::size_t>> guaranteed(problem.guarantees().size());
  for (std::size_t d = 0; d < devices.size(); ++d) {
    for (std::optional<NodeIndex> n = devices[d].parent; n;
         n = problem.nodes()[static_cast<std::size_t>(*n)].parent) {
      below[static_cast<std::size_t>(*n)].push_back(d);
    }
    if (devices[d].terms.same_cap) {
      caps[static_cast<std::size_t>(*devices[d].terms.same_cap)].push_back(d);
    }
    if (devices[d].terms.guarantee) {
      guaranteed[static_cast<std::size_t>(*devices[d].terms.guarantee)].push_back(d);
    }
  }
  for (std::size_t n = 0; n < below.size(); ++n) {
    add_sum(below[n], -COIN_DBL_MAX,
            std::min(problem.nodes()[n].limit.in_base(), COIN_DBL_MAX / 2));
  }
  for (std::size_t g = 0; g < guaranteed.size(); ++g) {
    add_sum(guaranteed[g], problem.guarantees()[g].in_base(), COIN_DBL_MAX);
  }
  for (const auto& limit : problem.cross_limits()) {
    std::vector<int> index;
    std::vector<double> ratios;
    double room = limit.limit.in_base();
    for (const auto& [device, ratio] : limit.shares) {
      const auto d = static_cast<std::size_t>(device);
      room -= ratio * least(d);
      index.insert(index.end(), of_device[d].begin(), of_device[d].end());
      ratios.resize(index.size(), ratio);
    }
    simplex.addRow(static_cast<int>(index.size()), index.data(), ratios.data(), -COIN_DBL_MAX,
                   room);
  }
  for (const auto& members : caps) {  // x_d - x_first = 0
    for (std::size_t m = 1; m < members.size(); ++m) {
      std::vector<int> index = of_device[members[m]];
      std::vector<double> sign(index.size(), 1.0);
      for (const int column : of_device[members[0]]) {
        index.push_back(column);
        sign.push_back(-1.0);
      }
      const double fixed = least(members[0]) - least(members[m]);
      simplex.addRow(static_cast<int>(index.size()), index.data(), sign.data(), fixed, fixed);
    }
  }
  std::vector<double> values;
  std::set<Priority, std::greater<>> order;
  for (const auto& device : devices) {
    order.insert(problem.policy() == Policy::priority ? device.terms.priority : 0);
  }
  for (const Priority k : order) {
    std::vector<int> index;
    std::vector<double> worth;
    double fixed = 0;
    for (std::size_t d = 0; d < devices.size(); ++d) {
      if (problem.policy() == Policy::value || devices[d].terms.priority == k) {
        fixed += problem.curve(DeviceIndex{static_cast<std::uint32_t>(d)}).front().value;
      }
    }
    for (int c = 0; c < columns; ++c) {
      const bool is_of = classes[static_cast<std::size_t>(c)] == k;
      simplex.setObjectiveCoefficient(c, is_of ? slopes[static_cast<std::size_t>(c)] : 0.0);
      if (is_of) {
        index.push_back(c);
        worth.push_back(slopes[static_cast<std::size_t>(c)]);
      }
    }
    simplex.primal();
    if (simplex.status() != 0) {
      return std::nullopt;
    }
    const double best = columns == 0 ? 0.0 : simplex.getObjValue();
    values.push_back(best + fixed);
    simplex.addRow(static_cast<int>(index.size()), index.data(), worth.data(), best - 1e-9,
                   COIN_DBL_MAX);
  }
  return values;
}

}  // namespace perwatt::allocate
