// The parts of 'perwatt train' beside the plan itself: add_train_verb() adds them.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace perwatt::cli {

void add_train_serve(CLI::App& train);

/// Throws Error(usage) where flags of `train` stand in front of one of its verbs, which reads none
/// of them.
void refuse_flags_before(const CLI::App& train, const std::string& verb);

}  // namespace perwatt::cli
