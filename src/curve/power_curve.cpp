#include "perwatt/curve/power_curve.hpp"

namespace perwatt::curve {

// The curves in use, compiled once.
template class PowerCurve<TokensPerSecond>;
template class PowerCurve<UsdPerSecond>;

}  // namespace perwatt::curve
