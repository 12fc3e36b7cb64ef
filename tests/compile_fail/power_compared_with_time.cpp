#include "perwatt/base/units.hpp"

int main() {
  const auto power = perwatt::watts(3.0);
#ifdef PERWATT_MISUSE
  return power < perwatt::seconds(1.0) ? 1 : 0;
#else
  return power < perwatt::watts(1.0) ? 1 : 0;
#endif
}
