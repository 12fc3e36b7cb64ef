// The children of the process that a test is in.
#pragma once

#include <filesystem>
#include <fstream>
#include <vector>

#include <sys/types.h>

namespace perwatt {

/// Of all its threads; zombies too.
inline std::vector<pid_t> child_processes() {
  std::vector<pid_t> found;
  for (const auto& thread : std::filesystem::directory_iterator{"/proc/self/task"}) {
    std::ifstream list{thread.path() / "children"};
    for (pid_t child = 0; list >> child;) {
      found.push_back(child);
    }
  }
  return found;
}

}  // namespace perwatt
