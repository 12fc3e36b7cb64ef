// How long work says how far it is.
#pragma once

#include <functional>

namespace perwatt::inference {

/// Called now and then with the share done, 0..1; may be empty.
using ProgressSink = std::function<void(double)>;

}  // namespace perwatt::inference
