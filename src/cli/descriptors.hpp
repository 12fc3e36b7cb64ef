// Open files of the process.
#pragma once

namespace perwatt::cli {

/// As many as the system lets this process have: each connection takes one.
void allow_many_descriptors();

}  // namespace perwatt::cli
