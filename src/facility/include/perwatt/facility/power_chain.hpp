// From GPU watts to node watts to watts at the meter. Formulas and sources: docs/model/facility.md.
//
// The boundaries have types of their own, so that power metered at one is never taken for another
// and a PUE is never applied twice. All functions are pure and safe from many threads.
#pragma once

#include "perwatt/base/units.hpp"
#include "perwatt/catalog/catalog.hpp"

namespace perwatt::facility {

/// Power at the IT boundary: nodes with host, fans, supplies and their share of the network.
struct ItPower {
  Watts value;

  auto operator<=>(const ItPower&) const = default;
};

/// Power at the facility boundary: the utility meter.
struct MeterPower {
  Watts value;

  auto operator<=>(const MeterPower&) const = default;
};

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

/// Where the meter's power goes before it reaches the nodes. The parts sum to the meter's value.
struct PlantPower {
  Watts it;
  Watts cooling;
  Watts distribution;  // transformers, UPS, busway

  [[nodiscard]] MeterPower total() const { return {it + cooling + distribution}; }
};

/// A cooling plant with a constant PUE (distribution losses are part of it).
class CoolingPlant {
 public:
  explicit CoolingPlant(const catalog::CoolingPlant& plant) : plant_{&plant} {}

  [[nodiscard]] MeterPower meter_for(ItPower it) const;

  /// The IT power this plant can carry with `meter` at the meter; inverse of meter_for.
  [[nodiscard]] ItPower it_carried_by(MeterPower meter) const;

  [[nodiscard]] PlantPower parts_at(ItPower it) const;

  [[nodiscard]] const catalog::CoolingPlant& data() const { return *plant_; }

 private:
  const catalog::CoolingPlant* plant_;
};

}  // namespace perwatt::facility
