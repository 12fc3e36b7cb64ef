// What the tests of power sources share.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "perwatt/base/error.hpp"
#include "perwatt/device/power_source.hpp"

namespace perwatt::test {

inline device::SourceOptions quick_options() {
  device::SourceOptions options;
  options.timeout = seconds(1);
  return options;
}

inline std::unique_ptr<device::PowerSource> source(
    const std::string& text, const device::SourceOptions& options = quick_options()) {
  return device::make_power_source(text, options, "--power");
}

/// The message of the usage error of a source's text.
inline std::string usage_error(const std::string& text) {
  try {
    static_cast<void>(source(text));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::usage) << error.what();
    return error.what();
  }
  ADD_FAILURE() << text << ": no error was thrown";
  return {};
}

/// Everything a source has read so far.
inline std::vector<device::MeterTrace> everything(device::PowerSource& source) {
  return source.traces(Instant{}, Instant::now() + seconds(1));
}

/// A folder that is gone with the test.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "perwatt-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }

  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  void write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream{path_ / name} << content;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace perwatt::test
