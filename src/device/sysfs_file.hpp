// Values in the files of sysfs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "perwatt/base/result.hpp"

namespace perwatt::device {

/// The first line without blanks at its ends. The Failure tells the path and the system's reason.
[[nodiscard]] Result<std::string> read_line(const std::filesystem::path& path);

/// A whole number of 0 or more.
[[nodiscard]] Result<std::int64_t> read_count(const std::filesystem::path& path);

/// The entries of `folder` whose names start with `prefix`, in natural order (hwmon2 before
/// hwmon10); empty when there is no such folder.
[[nodiscard]] std::vector<std::filesystem::path> entries(const std::filesystem::path& folder,
                                                         const std::string& prefix);

}  // namespace perwatt::device
