#include "site_tables.hpp"

namespace perwatt::plan {

namespace {

constexpr Range kPoints{0.0, 100.0};

}  // namespace

void read_quality(const ConfigTable& document, Site& site) {
  if (const auto table = document.optional_table("quality")) {
    site.max_quality_loss_points =
        table->optional_number("max_loss_points", kPoints).value_or(site.max_quality_loss_points);
    table->reject_unknown_keys();
  }
}

}  // namespace perwatt::plan
