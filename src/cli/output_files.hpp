// Files that a verb must not write over each other.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace perwatt::cli {

/// Files by the flag or argument that names them; empty names are passed over.
using NamedFiles = std::vector<std::pair<std::string, std::string>>;

/// Throws Error(usage) when an output is the file of an input or of another output, also by another
/// path or a symbolic link.
void check_outputs(const NamedFiles& inputs, const NamedFiles& outputs);

}  // namespace perwatt::cli
