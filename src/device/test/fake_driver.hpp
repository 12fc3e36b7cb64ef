// The state file of the fake driver, as tests see it.
#pragma once

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "source_testing.hpp"

namespace perwatt::test {

class FakeDriver {
 public:
  explicit FakeDriver(const std::string& state) {
    write(state);
    ::setenv("FAKE_NVML_STATE", path().c_str(), 1);
  }

  ~FakeDriver() { ::unsetenv("FAKE_NVML_STATE"); }

  FakeDriver(const FakeDriver&) = delete;
  FakeDriver& operator=(const FakeDriver&) = delete;

  void write(const std::string& state) const { folder_.write("state", state); }

  [[nodiscard]] std::string path() const { return (folder_.path() / "state").string(); }

  /// The numbers of a key as text, "" when it is not there.
  [[nodiscard]] std::string value(const std::string& key) const {
    std::ifstream file{path()};
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with(key + " ")) {
        return line.substr(key.size() + 1);
      }
    }
    return {};
  }

 private:
  ScratchFolder folder_;
};

/// Two boards with caps.
inline std::string two_boards() {
  return "gpus 2\n"
         "0 power_mw 300000\n0 bounds_mw 200000 700000\n0 default_mw 700000\n0 limit_mw 700000\n"
         "1 power_mw 310000\n1 bounds_mw 200000 700000\n1 default_mw 700000\n1 limit_mw 500000\n";
}

}  // namespace perwatt::test
