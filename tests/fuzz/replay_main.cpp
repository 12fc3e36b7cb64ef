// Stands in for libFuzzer: runs a target on every file of the folders and files given.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> inputs_of(const std::vector<std::string>& arguments) {
  std::vector<fs::path> inputs;
  for (const auto& argument : arguments) {
    if (!fs::is_directory(argument)) {
      inputs.emplace_back(argument);
      continue;
    }
    for (const auto& entry : fs::directory_iterator{argument}) {
      inputs.push_back(entry.path());
    }
  }
  return inputs;
}

/// A copy of exact size, so that a sanitizer sees reads beyond it.
std::vector<std::uint8_t> bytes_of(const fs::path& file) {
  std::ifstream stream{file, std::ios::binary};
  stream.exceptions(std::ios::badbit | std::ios::failbit);
  std::vector<std::uint8_t> bytes(fs::file_size(file));
  stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

bool survives(const fs::path& file) {
  try {
    const auto bytes = bytes_of(file);
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    return true;
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "%s: %s\n", file.c_str(), problem.what());
  } catch (...) {
    std::fprintf(stderr, "%s: threw something that is no exception\n", file.c_str());
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  const auto inputs = inputs_of({argv + 1, argv + argc});
  if (inputs.empty()) {
    std::fprintf(stderr, "usage: %s FOLDER|FILE...; no input was found\n", argv[0]);
    return 2;
  }
  std::size_t failures = 0;
  for (const auto& input : inputs) {
    failures += survives(input) ? 0 : 1;
  }
  std::printf("%zu inputs, %zu failed\n", inputs.size(), failures);
  return failures == 0 ? 0 : 1;
}
