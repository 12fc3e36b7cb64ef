// Files, read and written whole.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace perwatt {

/// The bytes of a regular file of at most 1 GiB. Throws Error(bad_input) naming the path when it is
/// absent, not a regular file, too large or not readable.
[[nodiscard]] std::string read_file(const std::filesystem::path& path);

/// Replaces `path` with `content` in one step: a reader, or a run killed midway, sees the old file
/// or the new one. Throws Error(peer_failed) with the system's reason.
void write_file(const std::filesystem::path& path, std::string_view content);

/// The folder of shipped catalogs, points and examples: $PERWATT_DATA_DIR when set, else
/// ../share/perwatt beside the executable, else the source tree this binary was built from. Throws
/// Error(bad_input) when none of them holds a catalog.
[[nodiscard]] std::filesystem::path data_dir();

}  // namespace perwatt
