#include "perwatt/base/file.hpp"

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <system_error>

#include <unistd.h>

#include "perwatt/base/error.hpp"

namespace perwatt {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  constexpr std::uintmax_t kLargest = std::uintmax_t{1} << 30U;
  std::error_code status;
  const auto kind = fs::status(path, status);
  if (!fs::exists(kind)) {
    throw_bad_input("no such file", path.string(), "check the path");
  }
  if (!fs::is_regular_file(kind)) {
    throw_bad_input("not a regular file", path.string(), "name a file");
  }
  const auto size = fs::file_size(path, status);
  if (status || size > kLargest) {
    throw_bad_input("larger than 1 GiB or of unknown size", path.string(), "split the file");
  }
  std::ifstream stream{path, std::ios::binary};
  std::string content(size, '\0');
  if (!stream.read(content.data(), static_cast<std::streamsize>(size))) {
    throw_bad_input("cannot be read", path.string(), "check its permissions");
  }
  return content;
}

void write_file(const fs::path& path, std::string_view content) {
  const fs::path scratch = path.string() + ".tmp" + std::to_string(::getpid());
  const auto fail = [&](const std::string& doing) {
    const std::string reason = std::generic_category().message(errno);
    std::error_code ignored;
    fs::remove(scratch, ignored);
    throw Error{ErrorCode::peer_failed, doing + " failed: " + reason, path.string(),
                "check that the folder exists and is writable"};
  };
  errno = 0;
  {
    std::ofstream stream{scratch, std::ios::binary | std::ios::trunc};
    stream.write(content.data(), static_cast<std::streamsize>(content.size()));
    stream.flush();
    if (!stream) {
      fail("writing");
    }
  }
  if (::rename(scratch.c_str(), path.c_str()) != 0) {
    fail("renaming");
  }
}

fs::path data_dir() {
  const auto holds_catalog = [](const fs::path& dir) {
    std::error_code ignored;
    return fs::exists(dir / "catalog" / "accelerators.toml", ignored);
  };
  // Read once at start, before any thread exists. NOLINTNEXTLINE(concurrency-mt-unsafe)
  if (const char* named = std::getenv("PERWATT_DATA_DIR"); named != nullptr && *named != '\0') {
    if (!holds_catalog(named)) {
      throw_bad_input("'" + std::string{named} + "' holds no catalog/accelerators.toml",
                      "PERWATT_DATA_DIR", "point it at perwatt's data folder or unset it");
    }
    return named;
  }
  std::error_code ignored;
  const auto executable = fs::read_symlink("/proc/self/exe", ignored);
  const auto installed = executable.parent_path().parent_path() / "share" / "perwatt";
  for (const fs::path& dir : {installed, fs::path{PERWATT_BUILD_DATA_DIR}}) {
    if (holds_catalog(dir)) {
      return dir;
    }
  }
  throw_bad_input("perwatt's data folder is in neither " + installed.string() + " nor " +
                      PERWATT_BUILD_DATA_DIR,
                  "", "set PERWATT_DATA_DIR to it");
}

}  // namespace perwatt
