// Messages of the BMS, read into points: what is known of each topic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace perwatt::topology {

enum class BmsObject { power_meter, rack };

/// A value as it was published.
struct BmsValue {
  double value = 0;
  double time_ms = 0;  // since 1970
  bool is_trusted = false;
  std::size_t line = 0;
};

/// One topic: its metadata and its values in the order of their times.
struct BmsPoint {
  BmsObject object = BmsObject::power_meter;
  std::string point_type;
  std::string object_id;  // empty until its metadata came
  std::string unit;
  std::vector<std::string> serves;
  std::size_t line = 0;  // of the last metadata
  std::vector<BmsValue> values;

  /// The last trusted value.
  [[nodiscard]] const BmsValue* last_trusted() const;
};

struct BmsPoints {
  std::vector<BmsPoint> points;            // in the order their topics first came
  std::vector<std::string> other_objects;  // ids of equipment of other types
  std::size_t passed_over = 0;
};

/// Throws Error(bad_input) naming the line.
[[nodiscard]] BmsPoints read_bms_points(std::string_view text, const std::string& name);

}  // namespace perwatt::topology
