// A calibration on disk: a folder with coefficients.json (values with names, bands, provenance) and
// relatives.csv (what may be borrowed). Format: docs/reference/calibration.md.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "perwatt/inference/serving/calibration.hpp"

namespace perwatt::inference::serving {

/// The texts of the two files; the same calibration gives the same bytes.
[[nodiscard]] std::string format_coefficients(const Calibration& calibration);
[[nodiscard]] std::string format_relatives(const Calibration& calibration);

/// Reads both texts; the names stand for the files in messages. Throws Error(bad_input) for what is
/// missing, unknown, not a number or out of its bounds.
[[nodiscard]] Calibration parse_calibration(std::string_view coefficients,
                                            const std::string& coefficients_name,
                                            std::string_view relatives,
                                            const std::string& relatives_name);

[[nodiscard]] Calibration load_calibration(const std::filesystem::path& folder);

void write_calibration(const Calibration& calibration, const std::filesystem::path& folder);

}  // namespace perwatt::inference::serving
