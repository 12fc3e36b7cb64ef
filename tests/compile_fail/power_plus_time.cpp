#include "perwatt/base/units.hpp"

int main() {
  const auto power = perwatt::watts(3.0);
#ifdef PERWATT_MISUSE
  const auto sum = power + perwatt::seconds(1.0);
#else
  const auto sum = power + perwatt::watts(1.0);
#endif
  return sum.in_base() > 0 ? 0 : 1;
}
