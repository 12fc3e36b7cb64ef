// What all kinds of catalog entries are read with: identity, figures, sources and references.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "perwatt/base/config.hpp"
#include "perwatt/catalog/catalog.hpp"

namespace perwatt::catalog {

/// A name in one entry that stands for another entry; checked once everything is loaded.
struct Reference {
  std::string kind;
  std::string id;
  std::string where;
};

/// Reads parts of entries and keeps the sources and references they use.
class EntryReader {
 public:
  /// A source id that is checked once everything is loaded.
  std::string source_ref(const ConfigTable& table);
  void use_source(std::string id, std::string where);

  void refer(Reference reference) { references_.push_back(std::move(reference)); }

  /// A table { value, source, tag, note }. Throws when absent or malformed.
  Sourced<double> read_figure(const ConfigTable& parent, std::string_view key, Range range);

  /// All keys of the entry that were not read yet are figures; only `known` names are taken.
  void read_figures(const ConfigTable& table, Entry& entry, const std::vector<std::string>& known);

  [[nodiscard]] const auto& source_uses() const { return source_uses_; }

  [[nodiscard]] const auto& references() const { return references_; }

  static void read_identity(const ConfigTable& table, Entry& entry);
  static Tag read_tag(const ConfigTable& table);

  /// One of kPrecisions under `key`, or nothing when absent.
  static std::optional<std::string> read_precision(const ConfigTable& table, std::string_view key);

  /// `date` as YYYY, YYYY-MM or YYYY-MM-DD: dates are compared as text.
  static std::string read_date(const ConfigTable& table);

  /// A figure the entry cannot be without.
  static const Sourced<double>& require_figure(const ConfigTable& table, const Entry& entry,
                                               std::string_view name);
  static double require_value(const ConfigTable& table, const Entry& entry, std::string_view name);
  static Watts require_watts(const ConfigTable& table, const Entry& entry, std::string_view name);

  static Sourced<Watts> sourced_watts(const Sourced<double>& figure);
  static std::optional<double> scaled(const Entry& entry, std::string_view name, double factor);

  /// Throws unless `axis` rises and the other array has as many numbers.
  static void check_axis(const ConfigTable& table, std::string_view key,
                         const std::vector<double>& axis, std::string_view other_key,
                         std::size_t other_size);

 private:
  std::vector<std::pair<std::string, std::string>> source_uses_;  // id, where
  std::vector<Reference> references_;
};

/// A [[system]] with its power chain.
[[nodiscard]] System read_system(const ConfigTable& table, EntryReader& reader);

/// A [[cooling_plant]]: a constant PUE or a physical model.
[[nodiscard]] CoolingPlant read_plant(const ConfigTable& table, EntryReader& reader);

}  // namespace perwatt::catalog
