// From GPU watts to node watts; cooling_plant.hpp goes on to the meter. Formulas and sources:
// docs/model/facility.md. All functions are pure and safe from many threads.
#pragma once

#include "perwatt/base/units.hpp"
#include "perwatt/catalog/catalog.hpp"
#include "perwatt/facility/cooling_plant.hpp"
#include "perwatt/facility/power.hpp"

namespace perwatt::facility {

/// Where the IT power of one node goes. The parts sum to it_total().
struct NodePower {
  Watts gpu;
  Watts host;  // CPUs, memory, storage, NICs, switch trays, controllers
  Watts fans;
  Watts conversion;   // loss in power supplies and converters
  Watts network;      // share of scale-out switches and optics
  Watts supply_load;  // DC that the power supplies deliver; not a part of its own

  [[nodiscard]] ItPower it_total() const { return {gpu + host + fans + conversion + network}; }
};

/// The power chain of one system, GPU boards to node inlet.
class PowerChain {
 public:
  /// `catalog` and `system` must outlive the chain. Throws Error(bad_input) when the node at the
  /// accelerator's TDP draws more DC than its power supplies carry.
  PowerChain(const catalog::Catalog& catalog, const catalog::System& system);

  /// One node (gpus_per_node GPUs) with every GPU board at `per_gpu`. Rises strictly with
  /// `per_gpu`.
  [[nodiscard]] NodePower node_at(Watts per_gpu) const;

  /// What must be reserved for one node: every GPU board at its TDP, CPUs at their maximum.
  [[nodiscard]] NodePower provisioned_node() const;

  /// The same with every GPU board capped at `gpu_cap` <= tdp().
  [[nodiscard]] NodePower provisioned_node_at(Watts gpu_cap) const;

  /// IT power of one GPU's share of a node, every GPU of the node at `per_gpu`.
  [[nodiscard]] ItPower it_per_gpu(Watts per_gpu) const;

  [[nodiscard]] const catalog::System& system() const { return *system_; }

  [[nodiscard]] Watts tdp() const { return tdp_; }

 private:
  [[nodiscard]] NodePower chassis_at(const catalog::ChassisChain& chain, Watts per_gpu) const;
  [[nodiscard]] NodePower rack_scale_at(const catalog::RackScaleChain& chain, Watts per_gpu,
                                        Watts cpu) const;

  const catalog::System* system_;
  const catalog::PsuCurve* psu_;
  Watts tdp_;
};

}  // namespace perwatt::facility
