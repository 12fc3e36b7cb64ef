#include "perwatt/base/units.hpp"

int main() {
#ifdef PERWATT_MISUSE
  perwatt::Watts power = 3.0;
#else
  perwatt::Watts power = perwatt::watts(3.0);
#endif
  return power.in_base() > 0 ? 0 : 1;
}
