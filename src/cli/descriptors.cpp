#include "descriptors.hpp"

#include <sys/resource.h>

namespace perwatt::cli {

void allow_many_descriptors() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);  // else a connection without a descriptor says so
  }
}

}  // namespace perwatt::cli
