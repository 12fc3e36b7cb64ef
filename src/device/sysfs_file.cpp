#include "sysfs_file.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "perwatt/base/text.hpp"

namespace perwatt::device {

namespace fs = std::filesystem;

Result<std::string> read_line(const fs::path& path) {
  constexpr std::size_t kMost = 4096;  // a page: the most that sysfs serves
  const auto failed = [&](int error) {
    std::string reason = path.string() + ": " + std::generic_category().message(error);
    if (error == EACCES || error == EPERM) {
      reason += "; run as root, or allow it: chmod a+r " + path.string();
    }
    return Failure{reason};
  };
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return failed(errno);
  }
  std::string text(kMost, '\0');
  const auto count = ::read(file, text.data(), text.size());
  const int error = errno;
  ::close(file);
  if (count < 0) {
    return failed(error);
  }
  text.resize(static_cast<std::size_t>(count));
  return std::string{trimmed(text.substr(0, text.find('\n')))};
}

Result<std::int64_t> read_count(const fs::path& path) {
  const auto line = read_line(path);
  if (!line) {
    return Failure{line.reason()};
  }
  const auto value = parse_integer(line.value());
  if (!value || *value < 0) {
    return Failure{path.string() + " holds '" + printable(line.value()) + "', no count"};
  }
  return *value;
}

std::vector<fs::path> entries(const fs::path& folder, const std::string& prefix) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator{folder, error}) {
    if (entry.path().filename().string().starts_with(prefix)) {
      found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end(), [](const fs::path& a, const fs::path& b) {
    const auto left = a.filename().string();
    const auto right = b.filename().string();
    return left.size() != right.size() ? left.size() < right.size() : left < right;
  });
  return found;
}

}  // namespace perwatt::device
